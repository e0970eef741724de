"""Laws of noise in spans: random-spans of T5, R and X denoisers of UL2.

Noise is parted into spans, and the rest into as many gaps, every way equally likely; the row begins
at a uniform place of the circle they make, moved out of a span to either of its ends by a fair
draw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.copies import log_choices
from lmprep.checks.laws.noise import Undone
from lmprep.checks.laws.positions import tenth_of
from lmprep.checks.laws.twins import SEED, Twins, table
from lmprep.checks.outcomes import statistical
from lmprep.checks.record import Batch, Check
from lmprep.checks.row_arrays import in_rows, place_in_row, row_of
from lmprep.checks.statistics import LEAST_EXPECTED, UNDECIDED, Verdict, scatter
from lmprep.jit import kernel

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

_LONGEST = 24  # lengths of spans told apart; what is longer follows from the others
_GAPS = (1, 4, 16, 64)  # the last length of a class of gaps; longer ones are one more
_FIGURES = (
    *(f"noise in tenth {tenth}" for tenth in range(1, 11)),
    "rows that begin with noise",
    "rows that end with noise",
    *(f"gaps of up to {length}" for length in _GAPS),
    "longer gaps",
)


class SpanLengths:
    """Of all ways to part N tokens into S spans, the share in which a span has k is
    C(N - k - 1, S - 2) / C(N - 1, S - 1).

    Rows are put together by N and S; what is found is held against the exact covariance of the
    number of spans of each length.

    Args:
        undo: the rows' noise.
        counted: (batch) -> which rows have spans under this law, bool [N].
    """

    def __init__(self, undo: Callable[[Batch], Undone], counted: Callable[[Batch], Flags]) -> None:
        self._undo, self._counted = undo, counted
        self._rows: defaultdict[tuple[int, int], int] = defaultdict(int)
        self._found = np.zeros(_LONGEST + 1)
        self._spans = 0

    def see(self, batch: Batch) -> None:
        undone, counted = self._undo(batch), self._counted(batch)
        spans = in_rows(undone.starts, undone.original.offsets)
        shapes, rows = np.unique(
            np.stack([undone.counts, spans], axis=1)[counted], axis=0, return_counts=True
        )
        for (noise, parts), count in zip(shapes.tolist(), rows.tolist(), strict=True):
            self._rows[noise, parts] += count
        starts = np.flatnonzero(undone.starts)
        run = np.cumsum(undone.starts)[undone.noise] - 1
        lengths = np.bincount(run, minlength=len(starts))
        of = counted[np.searchsorted(undone.original.offsets, starts, side="right") - 1]
        self._found += np.bincount(np.minimum(lengths[of], _LONGEST), minlength=_LONGEST + 1)
        self._spans += int(of.sum())

    def check(self) -> Check:
        expected, covariance = np.zeros(_LONGEST), np.zeros((_LONGEST, _LONGEST))
        for (noise, spans), rows in self._rows.items():
            mean, scattered = span_length_law(noise, spans)
            expected += rows * mean
            covariance += rows * scattered
        total = max(1, self._spans)
        return statistical(
            "span lengths",
            f"{expected[1] / total:.2%} of one token, {expected[2] / total:.2%} of two",
            f"{self._found[1] / total:.2%}, {self._found[2] / total:.2%}",
            "chi-square",
            self._verdict(expected, covariance),
        )

    def _verdict(self, expected: NDArray[np.float64], covariance: NDArray[np.float64]) -> Verdict:
        often = np.flatnonzero(expected >= LEAST_EXPECTED)
        if not len(often):
            return UNDECIDED
        deviation = (self._found[:-1] - expected)[often]
        return scatter(deviation, covariance[np.ix_(often, often)], LEAST_EXPECTED)


@cache
def span_length_law(noise: int, spans: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How many of S spans have k of N tokens, on average, and the covariance of these numbers.

    Returns:
        float64 [_LONGEST] and [_LONGEST, _LONGEST], by k from 0.
    """
    lengths = np.arange(_LONGEST)
    possible = lengths >= 1
    mean = spans * np.where(possible, _chance(noise, spans, lengths, 1), 0.0)
    sums = lengths[:, None] + lengths
    both = np.where(possible[:, None] & possible, _chance(noise, spans, sums, 2), 0.0)
    return mean, spans * (spans - 1) * both + np.diag(mean) - np.outer(mean, mean)


def _chance(noise: int, spans: int, taken: Places, parts: int) -> NDArray[np.float64]:
    """The chance that the first `parts` spans have certain lengths, `taken` in all.

    That is the number of ways to part what is left, C(left - 1, spans - parts - 1), over that of
    all ways.
    """
    left, rest = noise - taken, spans - parts
    ways = np.zeros(taken.shape)
    if rest == 0:
        ways[left == 0] = 1.0
    elif rest > 0:
        enough = left >= rest
        chosen = np.full(int(enough.sum()), rest - 1)
        ways[enough] = np.exp(log_choices(left[enough] - 1, chosen))
    chance: NDArray[np.float64] = ways * np.exp(-_log_ways(noise, spans))
    return chance


def _log_ways(tokens: int, parts: int) -> float:
    """The logarithm of the ways to part tokens into positive parts."""
    return float(log_choices(np.array([tokens - 1]), np.array([parts - 1]))[0])


class SpanPlaces:
    """Where noise stands, and what is between: as a twin has them.

    Args:
        undo: the rows' noise.
        counted: (batch) -> which rows have spans under this law, bool [N].
    """

    def __init__(self, undo: Callable[[Batch], Undone], counted: Callable[[Batch], Flags]) -> None:
        self._undo, self._counted = undo, counted
        self._random = np.random.default_rng(SEED)
        self._test = Twins("span places", "as drawn anew", _FIGURES)

    def see(self, batch: Batch) -> None:
        undone, counted = self._undo(batch), self._counted(batch)
        rows, noise = undone.original, undone.counts
        spans = in_rows(undone.starts, rows.offsets)
        # A row of more spans than can be parted by what is left breaks another law.
        counted = counted & ((spans <= rows.lengths - noise) | (noise == rows.lengths))
        twin = np.zeros(len(undone.noise), np.bool_)
        _draw(
            rows.offsets,
            np.where(counted, noise, 0),
            spans,
            self._random.random((2, len(twin))),
            self._random.random((2, len(rows))),
            twin,
        )
        drawn = Undone(rows, twin)
        self._test.add(_figures(undone)[counted], _figures(drawn)[counted])

    def check(self) -> Check:
        return self._test.check()


def _figures(undone: Undone) -> NDArray[np.float64]:
    """What `_FIGURES` names, of each row: float64 [N, C]."""
    rows, noise = undone.original, undone.noise
    row = row_of(rows)
    tenth = tenth_of(place_in_row(rows), rows.lengths[row])
    ends = np.stack([noise[rows.offsets[:-1]], noise[rows.offsets[1:] - 1]], axis=1)
    gaps = Undone(rows, ~noise)
    begins = np.flatnonzero(gaps.starts)
    sizes = np.bincount(np.cumsum(gaps.starts)[~noise] - 1, minlength=len(begins))
    kind = np.searchsorted(_GAPS, sizes)
    return np.hstack(
        [
            table(row[noise], tenth[noise], len(rows), 10),
            ends.astype(np.float64),
            table(row[begins], kind, len(rows), len(_GAPS) + 1),
        ]
    )


@kernel
def _draw(
    offsets: Places,
    noise: Places,
    spans: Places,
    parting: NDArray[np.float64],
    turning: NDArray[np.float64],
    out: Flags,
) -> None:
    """Draw one twin of each row, bool [T], out.

    Args:
        parting: float64 [2, T], from 0 to below 1: for the noise and for the rest of each row.
        turning: float64 [2, N], the same: for the place a row begins at, and for its side.
    """
    for row in range(len(noise)):
        start, length = offsets[row], offsets[row + 1] - offsets[row]
        if noise[row] == 0:
            continue
        runs = _parts(noise[row], spans[row], parting[0, start:])
        gaps = _parts(length - noise[row], spans[row], parting[1, start:])
        circle = np.zeros(length, np.bool_)
        place = 0
        for span in range(spans[row]):
            place += gaps[span]
            circle[place : place + runs[span]] = True
            place += runs[span]
        cut = int(turning[0, row] * length)
        if circle[cut] and circle[cut - 1] and cut > 0:
            step = 1 if turning[1, row] < 0.5 else -1
            while circle[cut % length] and circle[cut - 1]:
                cut += step
        for i in range(length):
            out[start + i] = circle[(cut + i) % length]


@kernel
def _parts(tokens: int, parts: int, uniform: NDArray[np.float64]) -> Places:
    """Part `tokens` into so many positive numbers, every way equally likely.

    A part begins at each place with the share of the parts still missing among the places left.
    """
    sizes = np.zeros(parts, np.int64)
    part = 0
    for token in range(tokens):
        left = tokens - token
        if token > 0 and uniform[token] * left < parts - 1 - part:
            part += 1
        sizes[part] += 1
    return sizes
