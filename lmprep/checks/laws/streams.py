"""Laws of windows cut at exact lengths: all are full but the last of their partition, or document.

Where a share of the windows aims at a random shorter length, that share is tested: over the
windows that had more text before them than they can hold, so that the text's end is no reason to
be short.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.outcomes import statistical
from lmprep.checks.record import Batch, Check, Contract, Observer
from lmprep.checks.statistics import chi_square

Places = NDArray[np.int64]
Full = Callable[[Batch], Places]
"""(batch) -> tokens of a full window for each row, before corruption: int64 [N]."""


def window_laws(contract: Contract, full: Full) -> list[Observer]:
    """What windows of exact lengths obey: short ones are the last, or as many as should be."""
    short = float(contract.sequences.short_sequence_probability)
    if short and not contract.is_packed:
        return [ShortWindows(contract, full, short)]
    return [FullWindows(contract, full)]


class _Windows:
    """The windows of one shard after another, judged when the next one comes.

    Args:
        judge: takes, in the order of the text, which windows end a partition (packed) or document,
            their sizes, what a full one holds, and their rows' numbers; and the file.
    """

    def __init__(
        self,
        contract: Contract,
        full: Full,
        judge: Callable[[NDArray[np.bool_], Places, Places, Places, str], None],
    ) -> None:
        self._packed, self._full, self._judge = contract.is_packed, full, judge
        self._file, self._seen = "", list[Places]()

    def see(self, batch: Batch) -> None:
        if batch.file != self._file:
            self.close()
            self._file = batch.file
        lengths, full = batch.original.lengths, self._full(batch)
        document = batch.values("document")
        self._seen.append(np.array([batch.ranks, document, lengths, full, batch.numbers]))

    def close(self) -> None:
        """Judge the shard that was seen."""
        if not self._seen:
            return
        rank, document, lengths, full, numbers = np.concatenate(self._seen, axis=1)
        self._seen = []
        order = np.argsort(rank)
        group = np.zeros_like(document) if self._packed else document[order]
        ends = np.append(group[1:] != group[:-1], True)
        self._judge(ends, lengths[order], full[order], numbers[order], self._file)


class FullWindows:
    """A window that is not full is the last one: of its partition (packed) or of its document."""

    def __init__(self, contract: Contract, full: Full) -> None:
        self._windows = _Windows(contract, full, self._judge)
        self._of = "partition" if contract.is_packed else "document"
        self._rows = self._broken = 0
        self._first = ""

    def see(self, batch: Batch) -> None:
        self._windows.see(batch)

    def _judge(
        self,
        ends: NDArray[np.bool_],
        lengths: Places,
        full: Places,
        numbers: Places,
        file: str,
    ) -> None:
        broken = (lengths > full) | ((lengths < full) & ~ends)
        self._rows += len(broken)
        self._broken += int(broken.sum())
        if broken.any() and not self._first:
            self._first = f"first in {file}, row {numbers[broken].min()}"

    def check(self) -> Check:
        self._windows.close()
        return Check(
            name="full windows",
            expected=f"all but a {self._of}'s last one",
            found=f"{self._rows - self._broken} of {self._rows} rows",
            tolerance="",
            passed=not self._broken,
            detail=self._first,
        )


class ShortWindows:
    """A share of the windows aims at a length drawn from 2 to the full one."""

    def __init__(self, contract: Contract, full: Full, share: float) -> None:
        self._windows = _Windows(contract, full, self._judge)
        self._share = share
        self._short = self._seen = 0
        self._expected = 0.0

    def see(self, batch: Batch) -> None:
        self._windows.see(batch)

    def _judge(
        self,
        ends: NDArray[np.bool_],
        lengths: Places,
        full: Places,
        numbers: Places,
        file: str,
    ) -> None:
        after = np.cumsum(lengths[::-1])[::-1]  # text from a window to the end of everything
        lasts = np.flatnonzero(ends)
        last = lasts[np.searchsorted(lasts, np.arange(len(ends)))]
        left = after - np.append(after, 0)[last + 1]
        counted = left > full
        self._seen += int(counted.sum())
        self._short += int(np.sum(counted & (lengths < full)))
        self._expected += self._share * float(np.sum(1 - 1 / (full[counted] - 1)))

    def check(self) -> Check:
        self._windows.close()
        expected = [self._expected, self._seen - self._expected]
        return statistical(
            "short windows",
            f"{math.floor(self._expected)} of {self._seen} aim at less",
            f"{self._short}",
            "chi-square",
            chi_square([self._short, self._seen - self._short], expected),
        )
