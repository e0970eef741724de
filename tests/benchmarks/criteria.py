"""WordPiece by frequency, by likelihood and from the top down, on text held out. By hand:

    python tests/benchmarks/criteria.py TRAIN HELDOUT [--size 8000] [--steps 2000 | --seconds 300]

TRAIN and HELDOUT are files that `lmprep build` reads. Each criterion learns a vocabulary of TRAIN.
The first table is about the words of HELDOUT, as BERT's pre-tokenizer cuts them: tokens a word,
words that are one token, words that are unknown, tokens a character (of words: spaces do not
count). The second says how many pieces two vocabularies share.

The third is about models (bert-tiny, windows of 128 tokens) trained on TRAIN for the same number of
steps, or of seconds, all with the same settings:

    nats a token        mean cross-entropy of the hidden tokens of HELDOUT
    nats a character    the same times the tokens a character of HELDOUT

so the last is what it would cost to guess all of the text, each word from its surroundings, for
every character of it. Nats a token cannot be compared: a vocabulary of short pieces has easy ones,
but more of them. Whole words are hidden (`--objective whole-word`); with `--objective mlm` the rest
of a word often gives a hidden piece away, which flatters vocabularies that cut words in many.
Windows of equal tokens hold less text where words are cut in many; so do steps of equal tokens.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from lmprep.corpus import expand, plan_sources
from lmprep.evaluation import evaluate
from lmprep.settings import CRITERIA, CorpusSettings, VocabSettings
from lmprep.tokenization.counts import WordCounts
from lmprep.tokenization.families import front_tokens
from lmprep.tokenization.word_sum import WordSum
from lmprep.vocab import Counting, count_here

LENGTH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("heldout", type=Path)
    parser.add_argument("--size", type=int, default=8000)
    parser.add_argument("--objective", choices=("whole-word", "mlm"), default="whole-word")
    parser.add_argument("--model", default="bert-tiny")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, default=2000, help="0: no training")
    budget.add_argument("--seconds", type=int)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--lr", type=float, default=1e-3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        compare(arguments, Path(scratch))


def compare(arguments: argparse.Namespace, scratch: Path) -> None:
    """Print the three tables."""
    words = words_of(arguments.heldout, arguments.size)
    folders = {criterion: scratch / criterion for criterion in CRITERIA}
    for criterion, folder in folders.items():
        lmprep(
            "vocab", arguments.train, "-o", folder / "tok", "--algorithm", "wordpiece",
            "--criterion", criterion, "--size", arguments.size,
        )  # fmt: skip
    tokenizers = {
        criterion: Tokenizer.from_file(str(folder / "tok" / "tokenizer.json"))
        for criterion, folder in folders.items()
    }
    print(
        "\n| criterion | size | tokens a word | whole words | unknown words | tokens a character |"
    )
    print("|---|---|---|---|---|---|")
    per_character = {}
    for criterion, tokenizer in tokenizers.items():
        tokens, whole, unknown, per_character[criterion] = cutting(tokenizer, words)
        print(
            f"| {criterion} | {tokenizer.get_vocab_size()} | {tokens:.4f} | {whole:.2%} "
            f"| {unknown:.3%} | {per_character[criterion]:.4f} |"
        )
    show_overlap(tokenizers, arguments.size)
    if arguments.steps == 0 and not arguments.seconds:
        return
    print("\n| criterion | steps | nats a token | accuracy | nats a character |")
    print("|---|---|---|---|---|")
    for criterion, folder in folders.items():
        figures = trained(arguments, folder)
        loss = figures["corrupted"]["cross_entropy"]
        print(
            f"| {criterion} | {figures['step']} | {loss:.4f} "
            f"| {figures['corrupted']['accuracy']:.4f} | {loss * per_character[criterion]:.4f} |",
            flush=True,
        )


def words_of(corpus: Path, size: int) -> WordCounts:
    """The words of a corpus with their counts, the same ones for every criterion."""
    counting = Counting(
        settings=VocabSettings(algorithm="wordpiece", size=size), corpus=CorpusSettings()
    )
    sources = plan_sources(expand([str(corpus)]), counting.corpus, counting.partition_bytes)
    with WordSum() as total:
        count_here(counting, sources, lambda counted: total.add(counted.words))
        return total.total()


def cutting(tokenizer: Tokenizer, words: WordCounts) -> tuple[float, float, float, float]:
    """Tokens a word, share of words that are one known token, share unknown, tokens a character."""
    cut = [[token.value for token in tokenizer.model.tokenize(word)] for word in words.words]
    tokens = np.array([len(pieces) for pieces in cut])
    unknown = np.array([pieces == ["[UNK]"] for pieces in cut])
    total = words.counts.sum()
    characters = (words.counts * np.array([len(word) for word in words.words])).sum()
    return (
        float((words.counts * tokens).sum() / total),
        float(words.counts[(tokens == 1) & ~unknown].sum() / total),
        float(words.counts[unknown].sum() / total),
        float((words.counts * tokens).sum() / characters),
    )


def show_overlap(tokenizers: dict[str, Tokenizer], size: int) -> None:
    """How many pieces two vocabularies share, special tokens left out."""
    special = set(front_tokens(VocabSettings(algorithm="wordpiece", size=size)))
    pieces = {criterion: set(t.get_vocab()) - special for criterion, t in tokenizers.items()}
    print("\n| vocabularies | shared pieces | of the smaller one |\n|---|---|---|")
    for a, b in combinations(pieces, 2):
        shared = len(pieces[a] & pieces[b])
        smaller = min(len(pieces[a]), len(pieces[b]))
        print(f"| {a}, {b} | {shared} | {shared / smaller:.1%} |")


def trained(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The held-out figures of a model that was trained with this vocabulary."""
    for corpus, out in ((arguments.train, "train"), (arguments.heldout, "heldout")):
        lmprep(
            "build", arguments.objective, corpus, "-t", folder / "tok", "-o", folder / out,
            "--length", LENGTH,
        )  # fmt: skip
    budget = (
        ("--time", f"{arguments.seconds}s") if arguments.seconds else ("--steps", arguments.steps)
    )
    lmprep(
        "pretrain", folder / "train", "-o", folder / "run", "--model", arguments.model, *budget,
        "--lr", arguments.lr, "--batch-tokens", arguments.batch_tokens,
    )  # fmt: skip
    return evaluate(folder / "run", folder / "heldout")


def lmprep(*arguments: Any) -> None:
    """Run a command; its log goes to stderr."""
    command = [sys.executable, "-m", "lmprep", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
