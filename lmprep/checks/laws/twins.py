"""A law drawn anew: rows beside twins of them, drawn by another implementation of the same law.

Where a law has no closed form (runs of words that are shortened to what fits, and merged), each row
gets a twin. Figures of a row and of its twin are exchangeable under the law, so their difference is
as likely positive as negative, whatever it depends on. The sum of the differences over its own
scatter is then, at any number of rows, no larger than a chi-square variable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.outcomes import statistical
from lmprep.checks.record import Check
from lmprep.checks.statistics import LEAST_EXPECTED, UNDECIDED, Verdict, scatter

SEED = 20190724
"""Of the generator twins are drawn with: the same data always gets the same answer."""


def table(
    row: NDArray[np.int64], column: NDArray[np.int64], rows: int, columns: int
) -> NDArray[np.float64]:
    """How often each column occurs in each row, float64 [rows, columns]: figures of rows."""
    counts = np.bincount(row * columns + column, minlength=rows * columns)
    return counts.reshape(rows, columns).astype(np.float64)


class Twins:
    """The test for C figures of each row.

    Args:
        name: of the check.
        figures: what the figures are, one word for each, for the table.
    """

    def __init__(self, name: str, expected: str, figures: tuple[str, ...]) -> None:
        self._name, self._expected, self._figures = name, expected, figures
        size = len(figures)
        self._rows = 0
        self._found, self._drawn = np.zeros(size), np.zeros(size)
        self._squares = np.zeros((size, size))

    def add(self, found: NDArray[np.float64], drawn: NDArray[np.float64]) -> None:
        """Take note of rows and their twins: figures [N, C] of each."""
        difference = found - drawn
        self._rows += len(found)
        self._found += found.sum(0)
        self._drawn += drawn.sum(0)
        self._squares += difference.T @ difference

    def check(self) -> Check:
        verdict = self._verdict()
        apart = np.abs(self._found - self._drawn) / np.sqrt(np.maximum(1, np.diag(self._squares)))
        worst = int(np.argmax(apart))
        rows, name = max(1, self._rows), self._figures[worst]
        return statistical(
            self._name,
            f"{self._expected}: {name}, {self._drawn[worst] / rows:.3f} a row",
            f"{self._found[worst] / rows:.3f}",
            "chi-square",
            verdict,
        )

    def _verdict(self) -> Verdict:
        seen = np.diag(self._squares) >= LEAST_EXPECTED  # figures that hardly ever differ
        if not seen.any():
            return UNDECIDED
        difference = (self._found - self._drawn)[seen]
        return scatter(difference, self._squares[np.ix_(seen, seen)], LEAST_EXPECTED)
