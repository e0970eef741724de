"""Training speed beside the model classes of `transformers` in a plain loop. Run by hand:

    python tests/benchmarks/train_speed.py [bert gpt t5] [--blocks 5] [--steps 4] [--threads 2]

Both sides of a family: 4 layers of width 256, vocabulary 16,000, the same tokens, dropout 0.1
(hidden and attention), bf16 autocast, fused AdamW, gradient norm clipped to 1.

    bert   BertForPreTraining            32 x 128 with padding, 19 masked a row, sentence pairs
    gpt    GPT2LMHeadModel               16 x 256, every next token
    t5     T5ForConditionalGeneration    32 x 128 inputs, 30 targets a row

Each side is a process of its own; blocks of a few steps alternate, so that a change of the
machine's speed meets all of them. lmprep runs as `lmprep pretrain` does: it keeps freed memory
(`allocator.keep_freed_memory`), and threads that wait sleep. transformers runs as it comes,
compiled by `torch.compile`, and with both of our settings of the process. The verdict is on the
faster of the first two: exit status 1 when lmprep is not `REQUIRED` times as fast. Let nothing else
run: threads that wait awake, as theirs do, suffer most from a busy machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

VOCABULARY = 16_000
# Rows, positions, targets a row (of which the model is asked).
SHAPES = {"bert": (32, 128, 19), "gpt": (16, 256, 255), "t5": (32, 128, 30)}
REQUIRED = {"bert": 1.6, "gpt": 1.3, "t5": 1.3}
OURS, THEIRS, COMPILED, TUNED = (
    "lmprep",
    "transformers",
    "transformers, compiled",
    "transformers, our settings",
)
SIDES = (OURS, THEIRS, COMPILED, TUNED)
Step = Callable[[], int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("families", nargs="*", default=list(SHAPES), metavar="FAMILY")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="steps in a block")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        serve(arguments.families[0], arguments.side, arguments.threads)
        return
    verdicts = [
        show(family, measure(family, arguments.blocks, arguments.steps, arguments.threads))
        for family in arguments.families
    ]
    sys.exit(0 if all(verdicts) else 1)


def measure(family: str, blocks: int, steps: int, threads: int) -> dict[str, list[float]]:
    """Tokens a second of each side in each block."""
    workers = {side: start(family, side, threads) for side in SIDES}
    for worker in workers.values():
        ask(worker, 3)  # warm up, compile
    speeds: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(blocks):
        answers = {side: ask(worker, steps) for side, worker in workers.items()}
        assert len({tokens for tokens, _ in answers.values()}) == 1, answers
        for side, (tokens, seconds) in answers.items():
            speeds[side].append(tokens / seconds)
    for worker in workers.values():
        worker.communicate("")
    return speeds


def show(family: str, speeds: Mapping[str, list[float]]) -> bool:
    """Print the table and the verdict."""
    medians = {side: statistics.median(values) for side, values in speeds.items()}
    print(f"{family:28}{'median tok/s':>14}{'lowest':>10}{'highest':>10}{'lmprep is':>12}")
    for side, values in speeds.items():
        times = medians[OURS] / medians[side]
        print(
            f"{side:28}{medians[side]:14,.0f}{min(values):10,.0f}{max(values):10,.0f}{times:11.2f}x"
        )
    reached = medians[OURS] / max(medians[THEIRS], medians[COMPILED])
    enough = reached >= REQUIRED[family]
    verdict = "enough" if enough else "NOT ENOUGH"
    print(f"{verdict}: {reached:.2f} times transformers; required is {REQUIRED[family]}\n")
    return enough


def start(family: str, side: str, threads: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    environment.pop("OMP_WAIT_POLICY", None)
    if side in (OURS, TUNED):
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
    return subprocess.Popen(
        [sys.executable, __file__, family, "--side", side, "--threads", str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def ask(worker: subprocess.Popen[str], steps: int) -> tuple[int, float]:
    """Let a worker do a block of steps: tokens, seconds."""
    assert worker.stdin
    assert worker.stdout
    worker.stdin.write(f"{steps}\n")
    worker.stdin.flush()
    tokens, seconds = worker.stdout.readline().split()
    return int(tokens), float(seconds)


def serve(family: str, side: str, threads: int) -> None:
    """Answer each number of steps on stdin with the tokens in them and the seconds they took."""
    import torch

    torch.set_num_threads(threads)
    step = our_step(family) if side == OURS else their_step(family, side)
    for line in sys.stdin:
        began = time.perf_counter()
        tokens = sum(step() for _ in range(int(line)))
        print(tokens, time.perf_counter() - began, flush=True)


def make_inputs(family: str) -> tuple:
    """Ids, lengths, scored positions (flat), targets, pair labels: the same on every side."""
    import torch

    torch.manual_seed(0)  # here: making a model may draw, and the sides make different ones
    rows, length, scored = SHAPES[family]
    lengths = torch.full((rows,), length)
    if family == "bert":
        lengths = torch.randint(length * 3 // 4, length + 1, (rows,))
    ids = torch.randint(5, VOCABULARY, (rows, length))
    if family == "t5":
        places = torch.arange(scored).expand(rows, -1)
        flat = (places + scored * torch.arange(rows)[:, None]).flatten()
        targets = torch.randint(5, VOCABULARY, (rows, scored))
    else:
        some = torch.stack([torch.randperm(length * 3 // 4)[:scored] for _ in range(rows)])
        places = some if family == "bert" else torch.arange(scored).expand(rows, -1)
        flat = (places + length * torch.arange(rows)[:, None]).flatten()
        targets = ids.flatten()[flat + (family == "gpt")]
    return ids, lengths, flat, targets, torch.randint(0, 2, (rows,))


def our_step(family: str) -> Step:
    import torch

    from lmprep.allocator import keep_freed_memory
    from lmprep.models.construction import new_model
    from lmprep.models.inputs import Inputs, Labels
    from lmprep.models.settings import model_settings
    from lmprep.pretrain_settings import PretrainSettings
    from lmprep.training.batch import Batch
    from lmprep.training.steps import Updater, targets

    keep_freed_memory()
    name = {"bert": "bert-mini", "gpt": "gpt2-mini", "t5": "t5-mini"}[family]
    settings = PretrainSettings(model=name, steps=1)
    model = new_model(model_settings(name, vocabulary_size=VOCABULARY), seed=0)
    updater = Updater(model, settings, torch.bfloat16)
    ids, lengths, flat, labels, pairs = make_inputs(family)
    rows, length, scored = SHAPES[family]
    bert, t5 = family == "bert", family == "t5"
    batch = Batch(
        inputs=Inputs(
            ids_BL=ids.int(),
            types_BL=torch.zeros_like(ids).int() if bert else None,
            lengths_B=lengths if bert else None,
            decoder_ids_BK=labels.view(rows, scored).roll(1, 1).int() if t5 else None,
            scored_M=flat,
            firsts_P=torch.arange(rows) * length if bert else None,
        ),
        labels=Labels(tokens_M=labels.flatten(), pairs_P=pairs if bert else None),
        kinds_M=torch.zeros(len(flat), dtype=torch.int8),
        tokens=int(lengths.sum()),
        row=0,
    )
    counts = targets([batch])
    done = 0

    def step() -> int:
        nonlocal done
        updater.update([batch], counts, done, 1e-4)
        done += 1
        return batch.tokens

    return step


def their_step(family: str, side: str) -> Step:
    import torch

    if side == TUNED:
        from lmprep.allocator import keep_freed_memory

        keep_freed_memory()
    model, arguments, tokens = {"bert": their_bert, "gpt": their_gpt, "t5": their_t5}[family]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    called = torch.compile(model) if side == COMPILED else model

    def step() -> int:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = called(**arguments).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return tokens

    return step


def their_bert() -> tuple:
    import torch
    from transformers import BertConfig, BertForPreTraining

    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
    )
    ids, lengths, flat, targets, pairs = make_inputs("bert")
    labels = torch.full_like(ids, -100)
    labels.view(-1)[flat] = targets
    arguments = {
        "input_ids": ids,
        "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).long(),
        "token_type_ids": torch.zeros_like(ids),
        "labels": labels,
        "next_sentence_label": pairs,
    }
    return BertForPreTraining(config).train(), arguments, int(lengths.sum())


def their_gpt() -> tuple:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=VOCABULARY, n_embd=256, n_layer=4, n_head=4)
    ids, lengths, *_ = make_inputs("gpt")
    arguments = {"input_ids": ids, "labels": ids, "use_cache": False}
    return GPT2LMHeadModel(config).train(), arguments, int(lengths.sum())


def their_t5() -> tuple:
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=VOCABULARY,
        d_model=256,
        d_kv=64,
        d_ff=1024,
        num_layers=4,
        num_heads=4,
        decoder_start_token_id=0,
    )
    ids, lengths, _, targets, _ = make_inputs("t5")
    arguments = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": targets,
        "use_cache": False,
    }
    return T5ForConditionalGeneration(config).train(), arguments, int(lengths.sum())


if __name__ == "__main__":
    main()
