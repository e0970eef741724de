"""Laws of copies: the same rows in the same order, each time corrupted anew.

Rows are compared by 64-bit hashes, which are kept for one partition at a time: its copies must be
shown one after another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns
from lmprep.checks.outcomes import RowLaw
from lmprep.checks.record import Batch, Check, Contract, Observer
from lmprep.checks.row_arrays import place_in_row
from lmprep.keyed_random import Keys, sub_keys
from lmprep.ragged import Ragged

# Rows that can be corrupted in fewer ways may well come out alike by chance.
_LEAST_WAYS = 100
_MOST_ALIKE = 0.05
# A few rows may be alike by chance where 5 % of them are less than one.
_FEW = 3


def copy_laws(contract: Contract) -> list[Observer]:
    """What copies must obey, where there are several."""
    if contract.copies == 1:
        return []
    restored = RowLaw("copies restored", "the same rows in the same order", _Restored().broken_by)
    return [restored, *([CopiesDiffer()] if contract.subject.ways is not None else [])]


class _Restored:
    """Every copy restores to the rows of the partition's first one."""

    def __init__(self) -> None:
        self._earlier = _Hashes()

    def broken_by(self, batch: Batch) -> NDArray[np.bool_]:
        kept = batch.columns.keys() - set(batch.contract.subject.redrawn)
        columns = {name: batch.columns[name] for name in kept}
        if batch.contract.subject.restores:
            columns["original"] = batch.original
        found = _row_hashes(columns, sorted(columns))
        self._earlier.keep(batch, found)
        first = self._earlier.of(self._earlier.copies[0], batch.numbers)
        broken: NDArray[np.bool_] = (first != 0) & (first != found)
        return broken


class CopiesDiffer:
    """No two copies have corrupted more than 5 % of their rows alike.

    Rows that can be corrupted in fewer than 100 ways are left out.
    """

    def __init__(self) -> None:
        self._earlier = _Hashes()
        self._rows: Counter[tuple[int, int]] = Counter()
        self._alike: Counter[tuple[int, int]] = Counter()

    def see(self, batch: Batch) -> None:
        subject = batch.contract.subject
        assert subject.ways is not None
        found = _row_hashes(batch.columns, [n for n in subject.redrawn if n in batch.columns])
        many = subject.ways(batch) >= np.log(_LEAST_WAYS)
        for copy in self._earlier.keep(batch, found):
            other = self._earlier.of(copy, batch.numbers)
            seen = many & (other != 0)
            self._rows[copy, batch.copy] += int(seen.sum())
            self._alike[copy, batch.copy] += int(np.sum(seen & (other == found)))

    def check(self) -> Check:
        shares = {pair: self._alike[pair] / rows for pair, rows in self._rows.items() if rows}
        worst = max(shares, key=lambda pair: shares[pair], default=(0, 0))
        rows, alike = self._rows[worst], self._alike[worst]
        return Check(
            name="copies differ",
            expected="rows differ in any two",
            found=f"{rows - alike} of {rows} rows in copies {worst[0]} and {worst[1]}",
            tolerance=f"{_MOST_ALIKE:.0%} and {_FEW} rows alike",
            passed=alike <= _MOST_ALIKE * rows + _FEW,
            detail="" if rows > _FEW else "too few to judge",
        )


def log_choices(things: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """The logarithm of how many ways there are to choose so many of so many, float64 [N]."""
    chosen = np.minimum(chosen, things)
    # Logarithms of factorials: 0!, 1!, ...
    logs = np.append(0.0, np.cumsum(np.log(np.arange(1, int(things.max(initial=0)) + 1))))
    ways: NDArray[np.float64] = logs[things] - logs[chosen] - logs[things - chosen]
    return ways


class _Hashes:
    """The hashes of the rows of one partition, by copy."""

    def __init__(self) -> None:
        self._place: tuple[int, int] | None = None
        self._hashes: dict[int, Keys] = {}

    @property
    def copies(self) -> list[int]:
        """The copies seen of this partition, in the order they came."""
        return list(self._hashes)

    def keep(self, batch: Batch, found: Keys) -> list[int]:
        """Keep a batch's hashes; returns which other copies of its partition there are."""
        if self._place != (batch.source, batch.partition):
            self._place, self._hashes = (batch.source, batch.partition), {}
        kept = self._hashes.get(batch.copy, np.zeros(0, np.uint64))
        end = int(batch.numbers.max(initial=-1)) + 1
        if end > len(kept):
            kept = np.pad(kept, (0, max(end, 2 * len(kept)) - len(kept)))
        kept[batch.numbers] = found
        self._hashes[batch.copy] = kept
        return [other for other in self._hashes if other != batch.copy]

    def of(self, copy: int, rows: NDArray[np.int64]) -> Keys:
        """The hashes of these rows, 0 where the copy has none: uint64 [N]."""
        kept = self._hashes[copy]
        there = rows < len(kept)
        found = np.zeros(len(rows), np.uint64)
        found[there] = kept[rows[there]]
        return found


def _row_hashes(columns: Columns, names: Iterable[str]) -> Keys:
    """A hash of what these columns hold in each row, uint64 [N]."""
    parts = [_column_hashes(columns[name], np.uint64(i)) for i, name in enumerate(names)]
    total: Keys = np.sum(parts, axis=0, dtype=np.uint64)
    return total


def _column_hashes(column: Ragged | NDArray[np.generic], key: np.uint64) -> Keys:
    if not isinstance(column, Ragged):
        return sub_keys(key, column.astype(np.int64))
    running = np.zeros(len(column.values) + 1, np.uint64)
    hashes = sub_keys(key, (place_in_row(column) << 32) | column.values)
    np.cumsum(hashes, out=running[1:])  # modulo 2**64
    return running[column.offsets[1:]] - running[column.offsets[:-1]]
