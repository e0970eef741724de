"""Outcomes: of a law that single rows keep or break, and of a test over all rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.record import Batch, Check
from lmprep.checks.statistics import ALPHA, Verdict


class RowLaw:
    """A law that each row keeps or breaks.

    Args:
        name, expected: of the `Check`.
        broken_by: tells which rows of a batch break it, bool [N].
    """

    def __init__(
        self, name: str, expected: str, broken_by: Callable[[Batch], NDArray[np.bool_]]
    ) -> None:
        self._name, self._expected, self._broken_by = name, expected, broken_by
        self._rows = self._broken = 0
        self._first = ""

    @classmethod
    def of_flags(cls, name: str, expected: str) -> RowLaw:
        """A law of which others say, with `note`, which rows break it."""
        return cls(name, expected, lambda batch: np.zeros(len(batch), np.bool_))

    def see(self, batch: Batch) -> NDArray[np.bool_]:
        """Take note of a batch; return which of its rows break the law."""
        broken = self._broken_by(batch)
        self.note(batch, broken)
        return broken

    def note(self, batch: Batch, broken: NDArray[np.bool_]) -> None:
        """Take note of a batch and of which of its rows break the law, bool [N]."""
        self._rows += len(batch)
        self._broken += int(broken.sum())
        if not self._first and broken.any():
            self._first = f"first in {batch.file}, row {batch.numbers[np.argmax(broken)]}"

    def check(self) -> Check:
        """The outcome over all batches."""
        return Check(
            name=self._name,
            expected=self._expected,
            found=f"{self._rows - self._broken} of {self._rows} rows",
            tolerance="",
            passed=not self._broken,
            detail=self._first,
        )


def statistical(name: str, expected: str, found: str, test: str, verdict: Verdict) -> Check:
    """The outcome of a test; `test` names its statistic."""
    detail = f"{test} {verdict.statistic:.2f}, p {verdict.p:.2g}"
    return Check(
        name=name,
        expected=expected,
        found=found,
        tolerance=f"p at least {ALPHA:g}",
        passed=verdict.passed,
        detail=detail if verdict.decided else "too few to judge",
    )
