"""The pair counts of many partitions, added up for a range of words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel, kernel
from lmprep.objectives.pair_counts import ROWS, Counts, between, empty_counts, too_large


class PairSums:
    """The counts of a range of words, added up over any number of partitions.

    Args:
        first, stop: the words, from `first` to `stop` - 1.
        vocabulary_size: V; memory holds (stop - first) * V counts of 8 bytes.
    """

    def __init__(self, first: int, stop: int, vocabulary_size: int) -> None:
        self._first, self._stop = first, stop
        self._sums = np.zeros((stop - first, vocabulary_size), np.int64)

    def add(self, counts: Counts) -> None:
        """Add the counts of these words; those of others are left out.

        Raises:
            ValueError: a sum is beyond 2**63 units.
        """
        start, stop = np.searchsorted(counts[0], [self._first, self._stop])
        if not _add(between(counts, start, stop), self._first, self._sums):
            raise too_large()

    def __len__(self) -> int:
        """How many pairs have a count."""
        return int(np.count_nonzero(self._sums))

    def blocks(self, rows: int = ROWS) -> Iterator[Counts]:
        """The pairs with a count, `rows` of them in each block but the last."""
        cell = 0
        while cell < self._sums.size:
            block = empty_counts(rows)
            cell, found = _collect(self._sums, self._first, cell, block)
            if found:
                yield between(block, 0, found)


@bare_kernel
def _add(counts: Counts, first: int, sums: NDArray[np.int64]) -> bool:
    """Add the counts to the sums; False when one has run over."""
    words, contexts, units = counts
    lowest = np.int64(0)
    for i in range(len(words)):
        total = sums[words[i] - first, contexts[i]] + units[i]
        sums[words[i] - first, contexts[i]] = total
        lowest = min(lowest, total)
    return bool(lowest >= 0)


@kernel
def _collect(sums: NDArray[np.int64], first: int, cell: int, block: Counts) -> tuple[int, int]:
    """Write the sums that are not 0 from a cell on; return the cell to go on with and the rows."""
    flat, row = sums.ravel(), 0
    while cell < len(flat) and row < len(block[0]):
        if flat[cell] != 0:
            block[0][row] = first + cell // sums.shape[1]
            block[1][row] = cell % sums.shape[1]
            block[2][row] = flat[cell]
            row += 1
        cell += 1
    return cell, row
