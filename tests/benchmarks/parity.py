"""Our encoding beside the library's on everything there is. Run by hand:

    python tests/benchmarks/parity.py [--share 1] [--only wordpiece,t5] [--texts novels,random]
                                      [--workers 2] [--quick]

All files of the shared corpora, every Unicode scalar value in three contexts and 200,000 random
texts, for our own five algorithms (vocabularies of 16,000) and for tokenizers of every published
shape; `tests/tokenization/parity_*.py` say which. One line for each text set and tokenizer: texts,
tokens, ids and word starts that differ from the library's, seconds for both sides together. On one
batch in eight the library is asked a second time, word by word, and must agree with itself.

The whole of it takes hours; `--share` takes that share of each text set, drawn anew for each
tokenizer. `--quick` is a share of 1/500 with vocabularies of 4,000.

Each line is worked out by a process of its own kind, started afresh (spawn), in which the library
starts no threads. Exit status 1 when a single id or word start differs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import zlib
from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(Path(__file__).parents[1] / "tokenization"))

from parity_comparison import Case, Differences, compare
from parity_texts import TextSet, text_sets
from parity_tokenizers import OWN, cases

LINE = "{:17}{:24}{:>9}{:>12}{:>9}{:>13}{:>9}"
HEADING = ("texts of", "tokenizer", "texts", "tokens", "ids", "word starts", "seconds")
AUDIT = 8  # one batch in so many is encoded word by word as well
TASK = 100_000  # texts held in memory at a time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--share", type=float, default=1.0, help="of each text set (default 1)")
    parser.add_argument("--only", default="", help="names of tokenizers, `own` for ours")
    parser.add_argument("--texts", default="", help="names of text sets, parted by commas")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    small = {"size": 4000, "chapters": 20, "lines": 60}
    large = {"size": 16_000, "chapters": 200, "lines": 300}
    made = cases(**(small if arguments.quick else large))
    only = chosen(parser, arguments.only.replace("own", ",".join(OWN)), made)
    names = chosen(parser, arguments.texts, text_sets())
    share = min(arguments.share, 1 / 500) if arguments.quick else arguments.share
    sys.exit(run([made[name] for name in only], names, share, arguments.workers))


def chosen(parser: argparse.ArgumentParser, written: str, known: dict) -> list[str]:  # type: ignore[type-arg]
    """Names parted by commas, all by default."""
    names = [name for name in written.split(",") if name] or list(known)
    if unknown := set(names) - set(known):
        parser.error(f"there is no {sorted(unknown)[0]}; there are {', '.join(known)}")
    return names


def run(tokenizers: list[Case], names: list[str], share: float, workers: int) -> int:
    """Print the table; the exit status."""
    print(LINE.format(*HEADING), flush=True)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        # Text set by text set, so that a worker reads each but once.
        tasks = [
            (name, case, pool.submit(compared, case, name, share))
            for name in names
            for case in tokenizers
        ]
        found = [shown(name, case, task) for name, case, task in tasks]
    ids, word_starts = (sum(getattr(each, k) for each in found) for k in ("ids", "word_starts"))
    tokens = sum(each.tokens for each in found)
    print(f"{tokens} tokens: {ids} ids and {word_starts} word starts differ")
    return int(any(found) or not tokens)


def shown(name: str, case: Case, task: Future[tuple[Differences, float]]) -> Differences:
    """Print a line of the table, and differing texts below it."""
    found, seconds = task.result()
    figures = (found.texts, found.tokens, found.ids, found.word_starts, f"{seconds:.1f}")
    print(LINE.format(name, case.name, *figures), flush=True)
    for example in found.examples:
        print(f"    {example}", flush=True)
    return found


def compared(case: Case, name: str, share: float) -> tuple[Differences, float]:
    """Compare one tokenizer on a share of one text set; the differences and the seconds."""
    began = time.perf_counter()
    texts = text_set(name)
    numbers = texts.sample(share, zlib.crc32(case.name.encode()))
    total = Differences()
    for first in range(0, len(numbers), TASK):
        total.add(compare(case, [texts.read(n) for n in numbers[first : first + TASK]], AUDIT))
    return total, time.perf_counter() - began


@lru_cache(maxsize=1)
def text_set(name: str) -> TextSet:
    return text_sets()[name]()


if __name__ == "__main__":
    main()
