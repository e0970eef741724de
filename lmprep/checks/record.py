"""What a check says, and the rows it says it about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, plain, ragged, take_rows
from lmprep.checks.statistics import ALPHA, Verdict
from lmprep.objective_settings import MlmSettings
from lmprep.ragged import Ragged
from lmprep.settings import SequenceSettings
from lmprep.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Check:
    """One law and whether it holds; texts, as a table shows them.

    Args:
        name: what is checked.
        expected, found: the law and the data, in the same terms.
        tolerance: how far they may lie apart; empty where they must agree.
        passed: whether they do.
        detail: where the law is broken first, or how sure the test is.
    """

    name: str
    expected: str
    found: str
    tolerance: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What the manifest promises of every row.

    Args:
        copies: how often each sequence is stored, each time corrupted anew.
        cls, sep, mask: ids of these special tokens, which the objective cannot do without.
    """

    masking: MlmSettings
    sequences: SequenceSettings
    vocabulary: Vocabulary
    copies: int
    cls: int
    sep: int
    mask: int

    @property
    def pairs(self) -> str:
        """`none`, `nsp` or `sop`."""
        return self.sequences.pairs

    @property
    def is_packed(self) -> bool:
        """Whether a row may hold several documents."""
        return self.pairs == "none" and self.sequences.sequences == "packed"

    @property
    def separators(self) -> int:
        """Separators between the segments of a pair."""
        return 2 if self.vocabulary.family == "roberta" else 1


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows of one shard, ids and positions as int32, offsets from 0.

    Args:
        columns: by name, N rows each.
        numbers: int64 [N], which rows of the shard they are.
        file, source, copy: the shard.
    """

    columns: Columns
    numbers: NDArray[np.int64]
    file: str
    source: int
    copy: int
    contract: Contract

    def __len__(self) -> int:
        return len(self.numbers)

    def lists(self, name: str) -> Ragged:
        """A list column."""
        return ragged(self.columns, name)

    def flat(self, name: str) -> NDArray[np.int32]:
        """The values of a list column of ids or positions, row after row."""
        return self.lists(name).values.astype(np.int32, copy=False)

    def values(self, name: str) -> NDArray[np.int64]:
        """A plain column, as int64 [N]."""
        return plain(self.columns, name).astype(np.int64)

    def take(self, rows: NDArray[np.int64]) -> Batch:
        """These rows alone."""
        columns = take_rows(self.columns, rows)
        return Batch(columns, self.numbers[rows], self.file, self.source, self.copy, self.contract)

    @property
    def ids(self) -> Ragged:
        """The stored sequences."""
        return self.lists("input_ids")

    def places(self, name: str) -> NDArray[np.int64]:
        """A column of positions as indices into the ids of the whole batch."""
        starts = np.repeat(self.ids.offsets[:-1], self.lists(name).lengths)
        return np.add(starts, self.flat(name))

    @cached_property
    def chosen(self) -> NDArray[np.int64]:
        """Where the predicted tokens stand among the ids of the whole batch."""
        return self.places("masked_positions")

    @cached_property
    def original(self) -> NDArray[np.int32]:
        """The ids before corruption, int32 [T]."""
        ids = self.flat("input_ids").copy()
        ids[self.chosen] = self.flat("masked_labels")
        return ids

    @cached_property
    def found(self) -> NDArray[np.int32]:
        """What stands where a token is predicted, int32 [K]."""
        return self.flat("input_ids")[self.chosen]


def running(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many flags are set before each, and in all: int64 [T + 1]."""
    before = np.zeros(len(flags) + 1, np.int64)
    np.cumsum(flags, out=before[1:])
    return before


def in_rows(flags: NDArray[np.bool_], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the flags of each row are set, int64 [N]."""
    before = running(flags)
    return before[offsets[1:]] - before[offsets[:-1]]


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

    def see(self, batch: Batch) -> NDArray[np.bool_]:
        """Take note of a batch; return which of its rows break the law."""
        broken = self._broken_by(batch)
        self._rows += len(batch)
        self._broken += int(broken.sum())
        if not self._first and broken.any():
            self._first = f"first in {batch.file}, row {batch.numbers[np.argmax(broken)]}"
        return broken

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
