"""The loader alone, from mapped shards to finished batches, on one core. Run by hand:

    python tests/benchmarks/loader_speed.py [--batch-tokens 16384] [--seconds 2] [--folder KEPT]

Real datasets of novels: masked tokens of documents at 128 (in one shard, and spread over hundreds,
so that hardly two rows of a step lie together) and 512, BERT's sentence pairs at 128, packed
next-word rows at 1024, T5's spans at 512/114; each as stored, and (where anything is drawn)
corrupted anew, as later epochs are. A figure is tokens of the rows before corruption, padding not
counted, per second of `TrainingData.step`, the best of three runs. `--folder` keeps what was built
for the next time.

Beside them what users have without lmprep: the same rows, uncorrupted, as a `datasets.Dataset` of
lists in random order behind torch's DataLoader (no workers), masked, shifted and padded to the
length by `transformers.DataCollatorForLanguageModeling`.

A second table shows what packing fills, on novels and on a corpus of short documents.

Exit status 1 when a case makes less than `REQUIRED` tokens a second.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before NumPy's and torch's libraries start threads.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import torch

from lmprep.objectives import stored_objective
from lmprep.shards.reader import Dataset
from lmprep.training.data import TrainingData

REQUIRED = 5e6  # tokens a second
CORPORA = Path(__file__).parents[3] / "shared" / "data"
TOKENIZERS = {
    "bert": ("--algorithm", "wordpiece"),
    "gpt2": ("--algorithm", "byte-bpe", "--family", "gpt2"),
    "t5": ("--algorithm", "unigram"),
}
CASES = {
    "mlm, documents, 128": ("bert", "mlm", "--length", "128"),
    "mlm, documents, 128, spread": ("bert", "mlm", "--length", "128", "--partition-size", "60kB"),
    "mlm, documents, 512": ("bert", "mlm", "--length", "512"),
    "mlm, sentence pairs, 128": ("bert", "mlm", "--length", "128", "--pairs", "nsp"),
    "clm, packed, 1024": ("gpt2", "clm", "--length", "1024"),
    "t5, packed, 512/114": ("t5", "t5", "--length", "512"),
}
PEERS = ("mlm, documents, 128", "mlm, documents, 512", "clm, packed, 1024")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch-tokens", type=int, default=16384)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a run")
    parser.add_argument("--novels", default=CORPORA / "novels" / "train.jsonl.gz")
    parser.add_argument("--short", default=CORPORA / "tinyshakespeare" / "input.txt.gz")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        sets = {name: built(folder, arguments.novels, *case) for name, case in CASES.items()}
        slowest = show_speeds(sets, arguments.batch_tokens, arguments.seconds)
        show_filling(folder, arguments.novels, arguments.short, arguments.batch_tokens)
    verdict = "enough" if slowest >= REQUIRED else "NOT ENOUGH"
    print(f"{verdict}: at least {slowest / 1e6:.1f} Mtok/s; required are {REQUIRED / 1e6:.0f}")
    sys.exit(slowest < REQUIRED)


def built(folder: Path, corpus: Path, family: str, *build: str) -> Path:
    """A dataset, made if it is not there, with a tokenizer learnt from its corpus."""
    corpus_name = Path(corpus).name.partition(".")[0]
    tokenizer = folder / f"{corpus_name}-{family}"
    if not (tokenizer / "tokenizer.json").exists():
        vocabulary = TOKENIZERS[family]
        lmprep("vocab", corpus, "-o", tokenizer, *vocabulary, "--size", "16000")
    out = folder / "-".join([corpus_name, *(part.strip("-") for part in build)])
    if not (out / "manifest.json").exists():
        lmprep("build", build[0], corpus, "-t", tokenizer, "-o", out, *build[1:])
    return out


def lmprep(*arguments: object) -> None:
    command = [sys.executable, "-m", "lmprep", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)


def show_speeds(sets: dict[str, Path], batch_tokens: int, seconds: float) -> float:
    """Print the table; the lowest speed of ours, tokens a second."""
    print(f"steps of {batch_tokens} positions, one core; Mtok/s")
    print(f"{'':28}{'as stored':>12}{'drawn anew':>12}{'transformers':>14}")
    speeds = []
    for name, folder in sets.items():
        ours = [speed(our_steps(folder, batch_tokens, static), seconds) for static in (True, False)]
        speeds += ours
        drawn = "-" if name.startswith("clm") else f"{ours[1] / 1e6:.1f}"
        theirs = "-"
        if name in PEERS:
            theirs = f"{speed(their_steps(folder, batch_tokens), seconds) / 1e6:.2f}"
        print(f"{name:28}{ours[0] / 1e6:12.1f}{drawn:>12}{theirs:>14}")
    return min(speeds)


def speed(steps: Iterator[int], seconds: float, runs: int = 3) -> float:
    """Tokens a second of the fastest run; the steps give their tokens."""
    for _ in range(3):  # kernels compile, pages are read
        next(steps)
    best = 0.0
    for _ in range(runs):
        began, tokens = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < seconds / runs:
            tokens += next(steps)
        best = max(best, tokens / passed)
    return best


def our_steps(folder: Path, batch_tokens: int, static: bool) -> Iterator[int]:
    """Of the first epoch as stored, or of the second, corrupted anew."""
    data = TrainingData([folder], batch_tokens=batch_tokens, seed=0, static=static)
    first = position = 0 if static else data.rows
    while True:
        step = data.step(position)
        position = step.next if step.next < first + data.rows else first
        yield step.tokens


def their_steps(folder: Path, batch_tokens: int) -> Iterator[int]:
    from datasets import Dataset as HuggingFaceDataset
    from transformers import AutoTokenizer, DataCollatorForLanguageModeling

    dataset = Dataset(folder)
    length = int(dataset.manifest["settings"]["sequences"]["length"])
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    masked = dataset.manifest["objective"] == "mlm"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    collate: Callable[[Any], Any] = DataCollatorForLanguageModeling(
        tokenizer, mlm=masked, pad_to_multiple_of=length
    )
    rows = HuggingFaceDataset.from_dict(uncorrupted(dataset))
    loader = torch.utils.data.DataLoader(
        rows,  # type: ignore[arg-type]
        batch_size=batch_tokens // length,
        shuffle=True,
        drop_last=True,
        collate_fn=collate,
        generator=torch.Generator().manual_seed(0),
    )
    while True:
        for batch in loader:
            yield int(batch["attention_mask"].sum())


def uncorrupted(dataset: Dataset, rows: int = 4000) -> dict[str, list[list[int]]]:
    objective, settings = stored_objective(dataset.manifest)
    assert objective.restore is not None
    columns = dataset.rows(np.arange(min(rows, len(dataset))))
    found = objective.restore(columns, settings, dataset.vocabulary)
    cuts = found.offsets[1:-1]
    ids = [row.tolist() for row in np.split(found.ids, cuts)]
    special = [(~row).astype(int).tolist() for row in np.split(found.maskable, cuts)]
    return {
        "input_ids": ids,
        "attention_mask": [[1] * len(row) for row in ids],
        "special_tokens_mask": special,
    }


def show_filling(folder: Path, novels: Path, short: Path, batch_tokens: int) -> None:
    print("\nmlm of documents: share of positions that hold a token")
    print(f"{'':26}{'tokens a row':>14}{'padded':>10}{'packed':>10}{'packed takes':>14}")
    for corpus in (novels, short):
        for length in (128, 512):
            out = built(folder, corpus, "bert", "mlm", "--length", str(length))
            padded, packed = (filled(out, batch_tokens, packed) for packed in (False, True))
            mean = Dataset(out).manifest["totals"]
            name = f"{Path(corpus).parent.name}, {length}"
            print(
                f"{name:26}{mean['tokens'] / mean['rows']:14.0f}{padded:10.1%}{packed:10.1%}"
                f"{packed / padded:12.2f}x"
            )


def filled(folder: Path, batch_tokens: int, packed: bool) -> float:
    """Tokens of an epoch over the positions they take."""
    data = TrainingData([folder], batch_tokens=batch_tokens, seed=0, static=True, packed=packed)
    position = tokens = steps = 0
    while position < data.rows:
        step = data.step(position)
        position, tokens, steps = step.next, tokens + step.tokens, steps + 1
    return tokens / (steps * data.bins * data.task.length)


if __name__ == "__main__":
    main()
