"""How often each whole number occurred, and what follows from that."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Counts:
    """How often each whole number occurred."""

    def __init__(self) -> None:
        self.table = np.zeros(1, np.int64)

    def add(self, values: NDArray[np.integer[Any]]) -> None:
        """Count these values, none of them negative."""
        found = np.bincount(values, minlength=len(self.table))
        found[: len(self.table)] += self.table
        self.table = found

    @property
    def total(self) -> int:
        """How many were counted."""
        return int(self.table.sum())

    @property
    def sum(self) -> int:
        """What all that were counted add up to."""
        return int(self.table @ np.arange(len(self.table)))

    @property
    def mean(self) -> float:
        """Their mean, 0 when nothing was counted."""
        return self.sum / max(1, self.total)

    def quantile(self, share: float) -> int:
        """The least value that at least this share of the values do not exceed."""
        running = np.cumsum(self.table)
        return int(np.searchsorted(running, share * running[-1]))

    def summary(self) -> dict[str, Any]:
        """Least, quantiles, most, mean and the histogram; empty when nothing was counted."""
        there = np.flatnonzero(self.table)
        if not len(there):
            return {}
        middle = {f"p{100 * share:g}": self.quantile(share) for share in _QUANTILES}
        return {
            "min": int(there[0]),
            **middle,
            "max": int(there[-1]),
            "mean": self.mean,
            "histogram": self.histogram(),
        }

    def histogram(self) -> dict[int, int]:
        """How often each value that occurred did."""
        return {int(value): int(self.table[value]) for value in np.flatnonzero(self.table)}
