"""Where the chosen tokens of a row stand, when every set of k of its m tokens is equally likely."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.outcomes import statistical
from lmprep.checks.record import Check
from lmprep.checks.statistics import scatter

_TENTHS = 10


def tenth_of(ranks: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which tenth of `sizes` places a place is in, 0 to 9: int64, as many as `ranks`."""
    tenths: NDArray[np.int64] = _TENTHS * ranks // np.maximum(1, sizes)
    return np.clip(tenths, 0, _TENTHS - 1)


class UniformPositions:
    """Chosen tokens by tenths of the row, against drawing k of m without replacement.

    Args:
        longest: m of any row at most.
    """

    def __init__(self, name: str, longest: int) -> None:
        self._name = name
        self._counts = np.zeros(_TENTHS, np.int64)
        # By m: tokens chosen, and k (m - k) / (m - 1), the variance of drawing without
        # replacement over p (1 - p).
        self._drawn = np.zeros(longest + 1)
        self._variance = np.zeros(longest + 1)

    def add(self, ranks: NDArray[np.int64], k: NDArray[np.int64], m: NDArray[np.int64]) -> None:
        """Take note of N rows.

        Args:
            ranks: int64 [sum of k], row by row: which of its m tokens each chosen one is, from 0.
            k, m: int64 [N], tokens chosen and tokens there are.
        """
        tenths = tenth_of(ranks, np.repeat(m, k))
        self._counts += np.bincount(tenths, minlength=_TENTHS)
        scale = k * np.maximum(0, m - k) / np.maximum(1, m - 1)
        self._drawn += np.bincount(m, k, len(self._drawn))
        self._variance += np.bincount(m, scale, len(self._variance))

    def check(self) -> Check:
        expected, covariance = np.zeros(_TENTHS), np.zeros((_TENTHS, _TENTHS))
        for m in np.flatnonzero(self._drawn):
            share = np.bincount(tenth_of(np.arange(m), np.array(m)), minlength=_TENTHS) / m
            expected += self._drawn[m] * share
            covariance += self._variance[m] * (np.diag(share) - np.outer(share, share))
        # Rows of fewer than ten tokens leave some tenths empty.
        least = expected[expected > 0].min(initial=expected.sum())
        verdict = scatter(self._counts - expected, covariance, least)
        found = _percent(self._counts)
        return statistical(self._name, _percent(expected), found, "chi-square", verdict)


def _percent(counts: NDArray[np.generic]) -> str:
    shares = 100 * counts / max(1, counts.sum())
    return f"tenths of a row: {shares.min():.2f} to {shares.max():.2f} %"
