"""Bins: which rows of a step share one, and which bins each process takes.

A step fills G bins of `length` positions. Packed, it takes as many of the next rows as best-fit
decreasing puts into them: the rows from the longest to the shortest (of equal ones the earlier
first), each into the bin with the least room that is enough (of equal ones into that which came to
have this room last; of empty bins the one with the lowest number). Then bins are numbered by their
earliest row, and a bin holds its rows in their order: which bin is whose depends on the rows alone,
and long rows and short ones come in the order they were shuffled into.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import kernel

Array = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Bins:
    """Where N rows lie.

    Args:
        bin_N: int64, the bin of each row.
        start_N: int64, the position in it at which the row begins.
        count: bins, those without a row included.
        length: positions in a bin.
        several: may bins of the step hold several rows, be it in another part of it?
    """

    bin_N: Array
    start_N: Array
    count: int
    length: int
    several: bool = True

    def __len__(self) -> int:
        return len(self.bin_N)

    @property
    def flat_N(self) -> Array:
        """Where each row begins among the positions of all bins, int64."""
        return self.bin_N * self.length + self.start_N

    def between(self, first: int, stop: int) -> tuple[Array, Bins]:
        """The rows in bins first to stop - 1, by their places there, int64; and those bins."""
        inside = np.flatnonzero((self.bin_N >= first) & (self.bin_N < stop))
        rows = inside[np.argsort(self.flat_N[inside], kind="stable")]
        part = Bins(
            bin_N=self.bin_N[rows] - first,
            start_N=self.start_N[rows],
            count=stop - first,
            length=self.length,
            several=self.several,
        )
        return rows, part

    def with_count(self, count: int) -> Bins:
        """The same, with empty bins at the end to make so many."""
        return replace(self, count=count)


def one_row_each(rows: int, length: int) -> Bins:
    """A bin for every row."""
    return Bins(
        bin_N=np.arange(rows, dtype=np.int64),
        start_N=np.zeros(rows, np.int64),
        count=rows,
        length=length,
        several=False,
    )


def pack(lengths: Array, count: int, length: int) -> Bins:
    """Fill bins with as many of the rows, from the first on, as go in.

    Args:
        lengths: int64, of the next rows, each from 1 to `length`; at least `count` of them or, if
            those are fewer, all there are.
        count: bins, at least one.
        length: positions in a bin.

    Returns:
        The places of the first N rows, at least one: these fit, one more would not, or there are
        no more. (Taking a row away can, rarely, make a packing worse; so a still longer run that
        fits by chance is not looked for.)
    """
    if lengths[:count].min() == length:
        return one_row_each(min(len(lengths), count), length)
    within = int(np.searchsorted(np.cumsum(lengths), count * length, side="right"))
    longest_first = np.argsort(-lengths[:within], kind="stable")
    bin_N = np.empty(within, np.int64)
    rows = _most(lengths, longest_first, count, length, bin_N)
    start_N = np.empty(rows, np.int64)
    _settle(lengths, bin_N[:rows], count, start_N)
    return Bins(bin_N=bin_N[:rows], start_N=start_N, count=count, length=length)


def slots(bins: int, rank: int, ranks: int, micro_rows: int | None) -> list[tuple[int, int]]:
    """The bins that a process takes, batch after batch, as first and stop.

    Of n slots (as many for each rank, in its turn) slot s holds bins bins * s // n to
    bins * (s + 1) // n - 1; there are as few as `micro_rows` allows. A slot is empty where there
    are more of them than bins.

    Args:
        micro_rows: bins in a batch at most; None: any number.
    """
    each = 1 if micro_rows is None else -(-bins // (ranks * micro_rows))
    n = ranks * each
    return [(bins * s // n, bins * (s + 1) // n) for s in range(rank * each, (rank + 1) * each)]


@kernel
def _most(lengths: Array, longest_first: Array, count: int, length: int, bin_N: Array) -> int:
    """How many of the first rows fit, and into which bins: out, int64 [rows], or longer.

    Tries all, then one less, three, seven ... fewer, and halves the gap between what fits and what
    does not: a packing is seldom worse than its positions allow by more than a few rows.
    """
    too_many, fits, fewer = len(longest_first) + 1, len(longest_first), 1
    least = min(count, len(longest_first))  # with a bin for each
    while fits > least and not _best_fit(lengths, longest_first, fits, count, length, bin_N):
        too_many, fits = fits, max(least, fits - fewer)
        fewer *= 2
    while too_many - fits > 1:
        middle = (too_many + fits) // 2
        if _best_fit(lengths, longest_first, middle, count, length, bin_N):
            fits = middle
        else:
            too_many = middle
    _best_fit(lengths, longest_first, fits, count, length, bin_N)
    return fits


@kernel
def _best_fit(
    lengths: Array, longest_first: Array, rows: int, count: int, length: int, bin_N: Array
) -> bool:
    """Best-fit decreasing of the first rows; bin_N out. False if they do not fit.

    Bins with the same room are a stack: `top` of each room, and `below` of each bin.
    """
    top = np.full(length + 1, -1, np.int32)
    below = np.empty(count, np.int32)
    for each in range(count):
        below[each] = each + 1 if each + 1 < count else -1
    top[length] = 0
    for row in longest_first:
        if row >= rows:
            continue
        room = lengths[row]
        while room <= length and top[room] < 0:
            room += 1
        if room > length:
            return False
        chosen = top[room]
        top[room] = below[chosen]
        left = room - lengths[row]
        below[chosen] = top[left]
        top[left] = chosen
        bin_N[row] = chosen
    return True


@kernel
def _settle(lengths: Array, bin_N: Array, count: int, start_N: Array) -> None:
    """Number bins by their first row, in place; where each row begins, out: int64 [N]."""
    number = np.full(count, -1, np.int64)
    filled = np.zeros(count, np.int64)
    used = 0
    for row in range(len(bin_N)):
        if number[bin_N[row]] < 0:
            number[bin_N[row]] = used
            used += 1
        bin_N[row] = number[bin_N[row]]
        start_N[row] = filled[bin_N[row]]
        filled[bin_N[row]] += lengths[row]
