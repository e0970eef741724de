"""Training speed on a GPU, beside the Hugging Face Trainer with bf16 and compile. Run by hand:

    python tests/benchmarks/gpu.py [CASE...] [--steps 60] [--dropout 0] [--no-peer]
    python tests/benchmarks/gpu.py --tiny [--compile]      the whole path, on the CPU

Each side of each case is a process of its own, one after another:

    lmprep    `lmprep pretrain` as it is, with loader, guard, metrics and all, on a dataset of
              made-up text whose rows fill their bins; the speeds are those that it reports
    Trainer   the `transformers` class with bf16, torch_compile and fused AdamW, on as many rows of
              the same lengths; these lie in memory, masked beforehand, and 8 workers stack them

Speeds are medians over windows of 5 steps; the first half of the windows (compilation, warming up)
is left out, the first one tells how long compiling takes. Tokens are those that the encoder, or
the decoder alone, reads. Utilisation is that of `lmprep.training.throughput`; the last line names
its denominator.

The bars are set for one H200. Exit status: 0 all reached, at `REQUIRED` times the Trainer's speed
or more; 1 not; 2 without a CUDA device, nothing measured. `--tiny` gives no verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

REQUIRED = 2.0  # times the Trainer's speed
WINDOW = 5  # steps
OURS, PEER = "lmprep", "Trainer"
LINE = "{:16}{:>10}{:>8}{:>7}{:>7}{:>9}{:>9}{:>10}{:>8}{:>7}{:>9}  {}"
HEADING = LINE.format(
    "", "k tok/s", "ex/s", "util.", "GB", "compile", "bar", "Trainer", "GB", "times", "required", ""
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is trained.

    Args:
        model: a name of ours, with the vocabulary of the published model.
        objective: of `lmprep build`.
        family: of the made-up vocabulary.
        length: tokens in a row that an encoder, or a decoder alone, reads.
        targets: tokens in a row that a decoder behind an encoder predicts.
        rows: in an update.
        bar: rows a second; 0 for none.
        shape: further lines of the model's file.
    """

    name: str
    model: str
    vocabulary: int
    objective: str
    family: str
    length: int
    targets: int = 0
    rows: int
    bar: float
    shape: str = ""

    def tiny(self) -> Case:
        """The same in seconds on a CPU."""
        shape = "layers = 2\nwidth = 32\nheads = 2\nfeed_forward = 64\n"
        targets = 16 if self.targets else 0
        small = {"vocabulary": 700, "length": 64, "targets": targets, "rows": 4}
        return replace(self, **small, bar=0.0, shape=shape)


CASES = (
    Case(name="bert-base-128", model="bert-base", vocabulary=30_522, objective="mlm",
         family="bert", length=128, rows=512, bar=650e3 / 128),
    Case(name="bert-base-512", model="bert-base", vocabulary=30_522, objective="mlm",
         family="bert", length=512, rows=128, bar=600e3 / 512),
    Case(name="bert-large-512", model="bert-large", vocabulary=30_522, objective="mlm",
         family="bert", length=512, rows=64, bar=190e3 / 512),
    Case(name="gpt2-small-1024", model="gpt2-small", vocabulary=50_257, objective="clm",
         family="roberta", length=1024, rows=64, bar=463e3 / 1024),
    Case(name="t5-base-512", model="t5-base", vocabulary=32_128, objective="t5",
         family="t5", length=512, targets=114, rows=128, bar=850),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [case.name for case in CASES]
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(names))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--dropout", type=float, help="on both sides; by default the models'")
    parser.add_argument("--no-peer", action="store_true", help="lmprep alone")
    parser.add_argument("--tiny", action="store_true", help="tiny models on the CPU, no verdict")
    parser.add_argument("--compile", action="store_true", help="compile the tiny ones, too")
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side, written = arguments.side
        run = run_ours if side == OURS else run_trainer
        print(json.dumps(run(Case(**json.loads(written)), arguments)))
        return
    if unknown := set(arguments.cases) - set(names):
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(names)}")
    sys.exit(
        compare([case for case in CASES if case.name in (arguments.cases or names)], arguments)
    )


def compare(cases: list[Case], arguments: argparse.Namespace) -> int:
    """Run the cases and print the table; the exit status."""
    import torch

    if not arguments.tiny and not torch.cuda.is_available():
        print("torch finds no CUDA device: skipped. --tiny runs the same code on the CPU")
        return 2
    device = "CPU" if arguments.tiny else torch.cuda.get_device_name()
    print(f"torch {torch.__version__}, {device}, {arguments.steps} steps each\n{HEADING}")
    reached, peak = [], ""
    for case in cases:
        case = case.tiny() if arguments.tiny else case
        ours = ask(OURS, case)
        theirs = None if arguments.no_peer or not ours else ask(PEER, case)
        reached.append(show(case, ours, theirs))
        peak = ours.get("peak", peak)
    print(f"utilisation is of: {peak}")
    if arguments.tiny:
        print("tiny models: no verdict")
        return int(None in reached)
    print("enough" if all(reached) else "NOT ENOUGH")
    return 0 if all(reached) else 1


def ask(side: str, case: Case) -> dict[str, Any]:
    """What a process of its own measures; nothing if it fails, and its last words on stderr."""
    command = [sys.executable, __file__, *sys.argv[1:], "--side", side, json.dumps(asdict(case))]
    # The Trainer would take all GPUs that it sees.
    environment = {"CUDA_VISIBLE_DEVICES": "0", **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        print(f"{case.name}: {side} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
        return {}
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def show(case: Case, ours: dict[str, Any], theirs: dict[str, Any] | None) -> bool | None:
    """Print a line; whether it is good enough, None if a side failed.

    Args:
        theirs: None if not asked for.
    """
    if not ours:
        print(LINE.format(case.name, *10 * ["-"], "FAILED"), flush=True)
        return None
    bar = f"{case.bar:.0f} ex/s" if case.targets else f"{case.bar * case.length / 1e3:.0f} k"
    peer, good = ["-"] * 4, ours["rows"] >= case.bar
    if theirs:
        times = ours["rows"] / theirs["rows"]
        good = good and times >= REQUIRED
        speed = f"{theirs['rows'] * case.length / 1e3:.1f}"
        peer = [speed, f"{theirs['memory']:.1f}", f"{times:.2f}", f"{REQUIRED}"]
    failed = theirs is not None and not theirs
    verdict = "enough" if good else "NOT ENOUGH"
    print(
        LINE.format(
            case.name,
            f"{ours['rows'] * case.length / 1e3:.1f}",
            f"{ours['rows']:.0f}",
            f"{100 * ours['utilisation']:.1f}%",
            f"{ours['memory']:.1f}",
            f"{ours['first']:.0f} s",
            bar if case.bar else "-",
            *peer,
            "Trainer FAILED" if failed else verdict if case.bar else "",
        ),
        flush=True,
    )
    return None if failed else good


def run_ours(case: Case, arguments: argparse.Namespace) -> dict[str, Any]:
    """Build a dataset and train on it."""
    from lmprep.pretrain_settings import PretrainSettings
    from lmprep.training.metrics import Progress
    from lmprep.training.pretraining import pretrain

    compiled = arguments.compile or not arguments.tiny
    windows: list[Progress] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        settings = PretrainSettings(
            model=str(write_model(case, folder)),
            steps=arguments.steps,
            batch_tokens=case.rows * case.length,
            precision="bf16",
            device="cpu" if arguments.tiny else "cuda",
            compile="on" if compiled else "off",
            dropout=arguments.dropout,
            log_every=WINDOW,
            checkpoint_every=arguments.steps,
        )
        dataset = build(case, folder, rows=10 * case.rows)
        pretrain([dataset], folder / "run", settings, on_progress=windows.append)
    seconds = [each.elapsed for each in windows]
    if case.targets:
        done = [WINDOW * case.rows] * len(windows)
    else:  # the tokens of the text, in rows: padding does not count
        tokens = [each.tokens for each in windows]
        done = [(b - a) / case.length for a, b in zip([0, *tokens], tokens, strict=False)]
    late = windows[len(windows) // 2 :]
    return {
        **speeds(done, seconds),
        "utilisation": statistics.median(each.utilisation for each in late),
        "peak": late[-1].peak,
        "memory": memory(tiny=arguments.tiny),
    }


def run_trainer(case: Case, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train the `transformers` class with its Trainer."""
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    began = time.perf_counter()
    seconds: list[float] = []

    class Watch(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            nonlocal began
            began = time.perf_counter()

        def on_step_end(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
            if state.global_step % WINDOW == 0:
                if not arguments.tiny:
                    torch.cuda.synchronize()
                seconds.append(time.perf_counter() - began)

    with tempfile.TemporaryDirectory() as scratch:
        settings = TrainingArguments(
            output_dir=scratch,
            max_steps=arguments.steps,
            per_device_train_batch_size=case.rows,
            bf16=True,
            torch_compile=arguments.compile or not arguments.tiny,
            use_cpu=arguments.tiny,
            optim="adamw_torch_fused",
            learning_rate=1e-4,
            weight_decay=0.01,
            max_grad_norm=1.0,
            dataloader_num_workers=0 if arguments.tiny else 8,
            dataloader_drop_last=True,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=their_model(case, arguments.dropout),
            args=settings,
            train_dataset=MadeUpRows(case, arguments.steps * case.rows),
            callbacks=[Watch()],
        )
        trainer.train()
    done = [float(WINDOW * case.rows)] * len(seconds)
    return {**speeds(done, seconds), "memory": memory(tiny=arguments.tiny)}


def speeds(rows: list[float], seconds: list[float]) -> dict[str, float]:
    """Rows a second, and seconds that the first window took beyond those of a usual one.

    Args:
        rows: of each window.
        seconds: since the beginning, at the end of each.
    """
    took = [b - a for a, b in zip([0.0, *seconds], seconds, strict=False)]
    late = slice(len(took) // 2, None)
    usual = statistics.median(took[late])
    pace = statistics.median(n / t for n, t in zip(rows[late], took[late], strict=True))
    return {"rows": pace, "first": max(0.0, took[0] - usual)}


def memory(*, tiny: bool) -> float:
    """The most that was in use at once: GB of the GPU, or of the process."""
    import resource

    import torch

    if tiny:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return torch.cuda.max_memory_allocated() / 1e9


def write_model(case: Case, folder: Path) -> Path:
    """The model's file: ours of that name, with the published vocabulary."""
    file = folder / "model.toml"
    file.write_text(f'base = "{case.model}"\nvocabulary_size = {case.vocabulary}\n{case.shape}')
    return file


def build(case: Case, folder: Path, rows: int) -> Path:
    """A dataset of at least so many rows, each of the full length."""
    import numpy as np

    rng = np.random.default_rng(0)
    words = np.array(["".join(rng.choice(list("abcdefgh"), 4)) for _ in range(400)])
    # Long documents of one line each, so that nothing but a document's end cuts a row short.
    lines = [" ".join(rng.choice(words, 50_000)) for _ in range(rows * case.length // 40_000 + 1)]
    corpus, tokenizer, out = folder / "corpus.txt", folder / "tokenizer", folder / "dataset"
    corpus.write_text("\n\n".join(lines) + "\n")
    lmprep("vocab", corpus, "-o", tokenizer, "--algorithm", "word", "--family", case.family,
           "--size", 600)  # fmt: skip
    lmprep("build", case.objective, corpus, "-t", tokenizer, "-o", out, "--length", case.length,
           "--sequences", "packed")  # fmt: skip
    return out


def lmprep(*arguments: object) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(
        [sys.executable, "-m", "lmprep", *map(str, arguments)],
        check=True,
        stdout=subprocess.DEVNULL,
        env=environment,
    )


class MadeUpRows:
    """Rows as the Trainer takes them, a few hundred of them again and again.

    Args:
        count: how many there are to be.
    """

    def __init__(self, case: Case, count: int) -> None:
        import torch

        torch.manual_seed(0)
        pool = min(count, 4 * case.rows)
        ids = torch.randint(5, case.vocabulary, (pool, case.length))
        labels = ids.clone()
        if case.targets:
            labels = torch.randint(5, case.vocabulary, (pool, case.targets))
        elif case.objective == "mlm":
            labels[torch.rand(ids.shape) >= 0.15] = -100
        self.count, self.pool = count, pool
        self.columns = {"input_ids": ids, "labels": labels}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {name: column[number % self.pool] for name, column in self.columns.items()}


def their_model(case: Case, dropout: float | None) -> Any:
    """The `transformers` model of the same shape."""
    import transformers

    from lmprep.models.settings import model_settings

    with tempfile.TemporaryDirectory() as scratch:
        file = write_model(case, Path(scratch))
        ours = model_settings(str(file), vocabulary_size=1)
    rate = ours.dropout if dropout is None else dropout
    if case.model.startswith("bert"):
        bert = transformers.BertConfig(
            vocab_size=case.vocabulary,
            hidden_size=ours.width,
            num_hidden_layers=ours.layers,
            num_attention_heads=ours.heads,
            intermediate_size=ours.feed_forward,
            hidden_dropout_prob=rate,
            attention_probs_dropout_prob=rate,
        )
        return transformers.BertForMaskedLM(bert)
    if case.model.startswith("gpt2"):
        gpt2 = transformers.GPT2Config(
            vocab_size=case.vocabulary,
            n_embd=ours.width,
            n_layer=ours.layers,
            n_head=ours.heads,
            n_inner=ours.feed_forward,
            resid_pdrop=rate,
            embd_pdrop=rate,
            attn_pdrop=rate,
        )
        return transformers.GPT2LMHeadModel(gpt2)
    t5 = transformers.T5Config(
        vocab_size=case.vocabulary,
        d_model=ours.width,
        d_kv=ours.head_width,
        d_ff=ours.feed_forward,
        num_layers=ours.layers,
        num_heads=ours.heads,
        dropout_rate=rate,
        decoder_start_token_id=0,
    )
    return transformers.T5ForConditionalGeneration(t5)


if __name__ == "__main__":
    main()
