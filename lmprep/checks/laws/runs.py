"""Laws of runs of words: whole-word, n-gram and span masking, against twins.

The law, as the objectives state it: start words come in random order. One that is chosen already,
or does not fit into what is left of k, is passed over; any other begins a run of n words, which
ends where a word does not fit, where text does, and (n-grams) before a chosen word. A span passes
over chosen words. A row in which no word fits gets a shortest one.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.positions import tenth_of
from lmprep.checks.laws.tokens import wanted_counts
from lmprep.checks.laws.twins import SEED, Twins, table
from lmprep.checks.laws.words import Words, chosen_tokens
from lmprep.checks.record import Batch, Check, Contract
from lmprep.jit import kernel

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

_RUNS = (1, 2, 3, 4, 6, 9)  # the last word count of a class of runs; longer ones are one more
_FIGURES = (
    *(f"words in tenth {tenth}" for tenth in range(1, 11)),
    *(f"runs of up to {words} words" for words in _RUNS),
    "longer runs",
    "tokens",
)


def reciprocal(most: int) -> NDArray[np.float64]:
    """P(n) in proportion to 1/n, cumulative, n = 1 to `most`."""
    return _cumulative([Fraction(1, n) for n in range(1, most + 1)])


def geometric(p: Fraction, most: int) -> NDArray[np.float64]:
    """P(n) in proportion to p (1 - p)^(n - 1), cumulative, n = 1 to `most`."""
    return _cumulative([p * (1 - p) ** (n - 1) for n in range(1, most + 1)])


def _cumulative(weights: list[Fraction]) -> NDArray[np.float64]:
    total = sum(weights)
    return np.cumsum([float(weight / total) for weight in weights])


class Runs:
    """Where words are chosen, in runs of how many, and how many tokens: as a twin has them.

    Args:
        law: cumulative probabilities of n = 1, 2, ...; float64 [M].
        through: whether a run passes over chosen words.
    """

    def __init__(self, contract: Contract, law: NDArray[np.float64], *, through: bool) -> None:
        self._law, self._through = law, through
        self._wanted = wanted_counts(contract)
        self._random = np.random.default_rng(SEED)
        self._test = Twins("runs of words", "as drawn anew", _FIGURES)

    def see(self, batch: Batch) -> None:
        words, chosen = Words.of(batch), chosen_tokens(batch) > 0
        drawn = np.zeros(len(chosen), np.bool_)
        counts, joined = np.diff(words.offsets), words.joined
        row = np.repeat(np.arange(len(batch)), counts)
        order = np.argsort(row + self._random.random(len(chosen)))  # rows stay together
        lengths = np.searchsorted(self._law, self._random.random(len(chosen)), side="right") + 1
        wanted = self._wanted[batch.ids.lengths]
        _draw(words.sizes, joined, words.offsets, order, lengths, wanted, self._through, drawn)
        self._test.add(_figures(words, joined, chosen), _figures(words, joined, drawn))

    def check(self) -> Check:
        return self._test.check()


def _figures(words: Words, joined: Flags, chosen: Flags) -> NDArray[np.float64]:
    """What `_FIGURES` names, of each row: float64 [N, C]."""
    counts = np.diff(words.offsets)
    row = np.repeat(np.arange(len(counts)), counts)
    rank = np.arange(len(row)) - words.offsets[:-1][row]
    tenth = tenth_of(rank, counts[row])
    begins = chosen & ~(joined & np.append(False, chosen[:-1]))
    run = np.cumsum(begins)[chosen] - 1
    length = np.searchsorted(_RUNS, np.bincount(run, minlength=int(begins.sum())))
    return np.hstack(
        [
            table(row[chosen], tenth[chosen], len(counts), 10),
            table(row[begins], length, len(counts), len(_RUNS) + 1),
            np.bincount(row[chosen], words.sizes[chosen], len(counts))[:, None],
        ]
    )


@kernel
def _draw(
    sizes: Places,
    joined: Flags,
    offsets: Places,
    order: Places,
    lengths: Places,
    wanted: Places,
    through: bool,
    chosen: Flags,
) -> None:
    """Draw one twin of each row: which of its words are chosen, bool [W], out.

    Args:
        order: int64 [W], the words of each row in a random order.
        lengths: int64 [W], n of the run that each word begins if it begins one.
    """
    for row in range(len(wanted)):
        first, end, left = offsets[row], offsets[row + 1], wanted[row]
        shortest = -1
        for start in order[first:end]:
            if shortest < 0 or sizes[start] < sizes[shortest]:
                shortest = start
            if chosen[start] or sizes[start] > left:
                continue
            for word in range(start, min(end, start + lengths[start])):
                if (word > start and not joined[word]) or (chosen[word] and not through):
                    break
                if chosen[word]:
                    continue
                if sizes[word] > left:
                    break
                chosen[word] = True
                left -= sizes[word]
        if left == wanted[row] and shortest >= 0:
            chosen[shortest] = True
