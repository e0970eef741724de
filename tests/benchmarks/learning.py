"""What a training comes to in equal time: lmprep beside `transformers` in a plain loop. By hand:

    python tests/benchmarks/learning.py CORPUS HELDOUT [bert gpt t5] [--seconds 150] [--threads 2]

CORPUS and HELDOUT are files that `lmprep build` reads. For each family a vocabulary of 8,000, the
same examples of 128 tokens for both sides, the model of 4 layers and width 256, dropout 0.1, bf16,
AdamW with the same rates (linear after a warmup of a tenth, by the clock), batches of 32 rows.

    bert   mlm of single windows         BertForMaskedLM, rates 1e-3
    gpt    clm                           GPT2LMHeadModel, rates 1e-3
    t5     t5 random-spans               T5ForConditionalGeneration, rates 1e-3

lmprep runs as `lmprep pretrain --time`; transformers gets the rows of the same dataset through
`lmprep.Collator`, so that its loop need not mask, and its import and first step do not count. Both
models are scored by `lmprep evaluate`'s code on the held-out rows: nats a token (corrupted ones
only). Exit status 1 when lmprep's is not the lower one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FAMILIES = {
    "bert": ("wordpiece", "bert", ["mlm"], "bert-mini"),
    "gpt": ("byte-bpe", "gpt2", ["clm"], "gpt2-mini"),
    "t5": ("unigram", "t5", ["t5"], "t5-mini"),
}
LENGTH, ROWS, VOCABULARY, RATE = 128, 32, 8000, 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("heldout", type=Path)
    parser.add_argument("families", nargs="*", default=list(FAMILIES), metavar="FAMILY")
    parser.add_argument("--seconds", type=int, default=150)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        family, train, held_out = arguments.peer
        print(peer(family, Path(train), Path(held_out), arguments.seconds, arguments.threads))
        return
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    with tempfile.TemporaryDirectory() as scratch:
        lower = [compare(family, arguments, Path(scratch)) for family in arguments.families]
    sys.exit(0 if all(lower) else 1)


def compare(family: str, arguments: argparse.Namespace, scratch: Path) -> bool:
    """Build, train both, print the figures; is lmprep's loss the lower one?"""
    algorithm, vocabulary_family, objective, model = FAMILIES[family]
    tokenizer, train, held_out = (scratch / f"{family}-{name}" for name in ("tok", "train", "held"))
    lmprep(
        "vocab", arguments.corpus, "-o", tokenizer, "--algorithm", algorithm,
        "--family", vocabulary_family, "--size", VOCABULARY,
    )  # fmt: skip
    for corpus, out in ((arguments.corpus, train), (arguments.heldout, held_out)):
        lmprep("build", *objective, corpus, "-t", tokenizer, "-o", out, "--length", LENGTH)
    run = scratch / f"{family}-run"
    lmprep(
        "pretrain", train, "-o", run, "--model", model, "--time", f"{arguments.seconds}s",
        "--lr", RATE, "--batch-tokens", LENGTH * ROWS, "--dropout", 0.1,
    )  # fmt: skip
    ours = score_run(run, held_out)
    theirs = subprocess.run(
        [sys.executable, __file__, *map(str, (arguments.corpus, arguments.heldout)), "--seconds",
         str(arguments.seconds), "--threads", str(arguments.threads), "--peer", family,
         str(train), str(held_out)],
        check=True, stdout=subprocess.PIPE, text=True,
        env={k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"},
    ).stdout.split()  # fmt: skip
    print(f"{family}: {arguments.seconds} s each, held-out cross-entropy (nats a token) and steps")
    print(f"  lmprep        {ours[0]:.4f}   {ours[1]}")
    print(f"  transformers  {float(theirs[-2]):.4f}   {theirs[-1]}", flush=True)
    return ours[0] < float(theirs[-2])


def lmprep(*arguments: Any) -> None:
    subprocess.run([sys.executable, "-m", "lmprep", *map(str, arguments)], check=True)


def score_run(run: Path, held_out: Path) -> tuple[float, int]:
    from lmprep.evaluation import evaluate

    figures = evaluate(run, held_out)
    return figures["corrupted"]["cross_entropy"], figures["step"]


def peer(family: str, train: Path, held_out: Path, seconds: int, threads: int) -> str:
    """Train the model of transformers; its held-out loss and its steps."""
    import numpy as np
    import torch

    from lmprep import Collator
    from lmprep.shards.reader import Dataset

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    dataset, collate = Dataset(train), Collator(train)
    model = their_model(family, dataset.vocabulary).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01, fused=True)
    draw = np.random.default_rng(0)
    order = draw.permutation(len(dataset))
    steps, position, began = 0, 0, None
    while began is None or time.monotonic() - began < seconds:
        if position + ROWS > len(order):
            order, position = draw.permutation(len(dataset)), 0
        batch = collate(dataset.rows(order[position : position + ROWS]))
        position += ROWS
        progress = 0.0 if began is None else (time.monotonic() - began) / seconds
        rate = RATE * min(progress / 0.1, max(0.0, 1 - progress) / 0.9)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps += 1
        began = began or time.monotonic()  # after the first step
    return f"{score_theirs(model, family, held_out)} {steps}"


def their_model(family: str, vocabulary: Any) -> Any:
    import transformers as t

    size = vocabulary.size
    if family == "bert":
        return t.BertForMaskedLM(
            t.BertConfig(
                vocab_size=size,
                hidden_size=256,
                num_hidden_layers=4,
                num_attention_heads=4,
                intermediate_size=1024,
            )
        )
    if family == "gpt":
        return t.GPT2LMHeadModel(t.GPT2Config(vocab_size=size, n_embd=256, n_layer=4, n_head=4))
    return t.T5ForConditionalGeneration(
        t.T5Config(
            vocab_size=size,
            d_model=256,
            d_kv=64,
            d_ff=1024,
            num_layers=4,
            num_heads=4,
            decoder_start_token_id=vocabulary.pad,
            pad_token_id=vocabulary.pad,
            eos_token_id=vocabulary.sep,
        )
    )


def score_theirs(model: Any, family: str, held_out: Path) -> float:
    """The held-out loss of their weights in our model, by our code."""
    import torch

    from lmprep.models.construction import outline
    from lmprep.models.hf import from_hf
    from lmprep.models.hf.config import read_config
    from lmprep.shards.reader import Dataset
    from lmprep.training.validation import score

    settings = read_config(model.config.to_dict())
    ours = outline(settings)
    ours.load_state_dict(from_hf(model.state_dict(), settings), assign=True, strict=False)
    missing = [name for name, p in ours.named_parameters() if p.is_meta]
    assert all("pool" in name or "pair" in name for name in missing), missing
    for name in missing:  # what their class has not, and nothing here asks for
        parent, _, leaf = name.rpartition(".")
        shape = ours.get_parameter(name).shape
        setattr(ours.get_submodule(parent), leaf, torch.nn.Parameter(torch.zeros(shape)))
    return score(ours, Dataset(held_out), torch.float32).corrupted.cross_entropy


if __name__ == "__main__":
    main()
