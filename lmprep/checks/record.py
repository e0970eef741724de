"""What a check says, what is promised of a dataset, and the rows it is said of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, plain, ragged, take_rows
from lmprep.ragged import Ragged
from lmprep.settings import SequenceSettings
from lmprep.vocabulary import Vocabulary

Derived = TypeVar("Derived")


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


class Observer(Protocol):
    """Something that looks at all batches and decides at the end."""

    def see(self, batch: Batch) -> object: ...
    def check(self) -> Check: ...


class Law(Observer, Protocol):
    """An observer that also tells which rows of a batch break it, bool [N]."""

    def see(self, batch: Batch) -> NDArray[np.bool_]: ...


@dataclass(frozen=True, kw_only=True)
class Subject:
    """How the rows of an objective look, and what they must obey.

    Args:
        frame: one of `batches.FRAMES`: how a sequence is laid out before corruption; empty where
            rows are no sequences.
        columns: (contract) -> what the objective stores itself: name to `ids`, `positions`,
            `flags` (lists all three), or a NumPy type's name.
        undo: (batch) -> the sequences before corruption, of rows that keep the `sound` laws; as
            much of them as there is where it cannot be undone (`restores` is False then).
        scored: (batch) -> how many tokens are to be predicted.
        sound: (contract) -> laws without which the others make no sense; rows that break one of
            them are shown to no other.
        laws: (contract) -> everything else.
        redrawn: the columns that differ from copy to copy; the others, and what `undo` gives,
            do not.
        ways: (batch) -> the logarithm of how many ways, at least, each row could have been
            corrupted, float64 [N]; None where nothing is drawn.
    """

    frame: str
    columns: Callable[[Contract], Mapping[str, str]]
    undo: Callable[[Batch], Ragged]
    scored: Callable[[Batch], int]
    sound: Callable[[Contract], Sequence[Law]]
    laws: Callable[[Contract], Sequence[Observer]]
    redrawn: tuple[str, ...] = ()
    ways: Callable[[Batch], NDArray[np.float64]] | None = None
    restores: bool = True


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What the manifest promises of every row.

    Args:
        objective: its name.
        settings: the record of its settings.
        copies: how often each sequence is stored, each time corrupted anew.
        subject: how its rows look.
        folder, manifest: of the dataset, for what else it states.
    """

    objective: str
    settings: Any
    sequences: SequenceSettings
    vocabulary: Vocabulary
    copies: int
    subject: Subject
    folder: Path
    manifest: Mapping[str, Any]

    @property
    def length(self) -> int:
        """Tokens in a row at most."""
        return self.sequences.length

    @property
    def pairs(self) -> str:
        """`none`, `nsp` or `sop`."""
        return self.sequences.pairs

    @property
    def is_packed(self) -> bool:
        """Whether a row may hold several documents."""
        return self.pairs == "none" and self.sequences.sequences == "packed"

    @property
    def has_document_starts(self) -> bool:
        """Whether rows say where further documents begin."""
        return self.is_packed and self.subject.frame != "bare"

    @property
    def separators(self) -> int:
        """Separators between two segments."""
        return 2 if self.vocabulary.family == "roberta" else 1

    @property
    def cls(self) -> int:
        """The token that opens a sequence."""
        return _present(self.vocabulary.cls)

    @property
    def sep(self) -> int:
        """The token that closes a segment, a document or a target."""
        return _present(self.vocabulary.sep)

    @property
    def mask(self) -> int:
        """The mask token."""
        return _present(self.vocabulary.mask)

    @cached_property
    def in_pool(self) -> NDArray[np.bool_]:
        """Which ids a random replacement may be: none that is special; bool [V]."""
        drawable = np.ones(self.vocabulary.size, np.bool_)
        drawable[list(self.vocabulary.special)] = False
        return drawable


def _present(token: int | None) -> int:
    if token is None:
        raise ValueError("the manifest's vocabulary lacks a token that its objective needs")
    return token


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows of one shard, ids and positions as int32, offsets from 0.

    Args:
        columns: by name, N rows each.
        numbers: int64 [N], which rows of the shard they are.
        ranks: int64 [N], which rows of the partition they are in the order of the text.
        file, source, partition, copy: the shard.
    """

    columns: Columns
    numbers: NDArray[np.int64]
    ranks: NDArray[np.int64]
    file: str
    source: int
    partition: int
    copy: int
    contract: Contract
    _derived: dict[Any, Any] = field(default_factory=dict, repr=False)

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
        return replace(
            self,
            columns=take_rows(self.columns, rows),
            numbers=self.numbers[rows],
            ranks=self.ranks[rows],
            _derived={},
        )

    def once(self, derive: Callable[[Batch], Derived]) -> Derived:
        """What `derive` makes of the batch, made once however many laws ask for it."""
        if derive not in self._derived:
            self._derived[derive] = derive(self)
        found: Derived = self._derived[derive]
        return found

    @property
    def ids(self) -> Ragged:
        """The stored sequences."""
        return self.lists("input_ids")

    def places(self, name: str, within: Ragged | None = None) -> NDArray[np.int64]:
        """A column of positions as indices into the values of `within` (by default `ids`)."""
        starts = (within or self.ids).offsets[:-1]
        return np.add(np.repeat(starts, self.lists(name).lengths), self.flat(name))

    @property
    def original(self) -> Ragged:
        """The sequences before corruption: ids, int32."""
        return self.once(self.contract.subject.undo)
