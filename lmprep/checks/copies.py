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
from lmprep.checks.record import Batch, Check, RowLaw, in_rows
from lmprep.checks.rows import template_places
from lmprep.keyed_random import Keys, sub_keys
from lmprep.ragged import Ragged
from lmprep.shards.manifest import parse_shard_name

# Rows with fewer ways to choose their tokens may well come out alike by chance.
_LEAST_WAYS = 1000
_MOST_ALIKE = 0.01
# A few rows may be alike by chance where 1 % of them is less than one.
_FEW = 3


def copy_law() -> RowLaw:
    """Every copy restores to the rows of the partition's first one."""
    return RowLaw("copies restored", "the same rows in the same order", _Restored().broken_by)


class _Restored:
    def __init__(self) -> None:
        self._earlier = _Hashes()

    def broken_by(self, batch: Batch) -> NDArray[np.bool_]:
        columns = batch.columns | {"input_ids": Ragged(batch.original, batch.ids.offsets)}
        found = _row_hashes(columns, sorted(columns.keys() - {"masked_positions", "masked_labels"}))
        self._earlier.keep(batch, found)
        first = self._earlier.of(self._earlier.copies[0], batch.numbers)
        broken: NDArray[np.bool_] = (first != 0) & (first != found)
        return broken


class CopiesDiffer:
    """No two copies have chosen the same tokens, and treated them alike, in more than 1 % of rows.

    Rows that can be masked in fewer than 1000 ways are left out.
    """

    def __init__(self) -> None:
        self._earlier = _Hashes()
        self._rows: Counter[tuple[int, int]] = Counter()
        self._alike: Counter[tuple[int, int]] = Counter()

    def see(self, batch: Batch) -> None:
        found = _row_hashes(batch.columns, ["input_ids", "masked_positions"])
        many = _has_many_ways(batch)
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
        source, partition, copy = parse_shard_name(batch.file)
        if self._place != (source, partition):
            self._place, self._hashes = (source, partition), {}
        kept = self._hashes.get(copy, np.zeros(0, np.uint64))
        end = int(batch.numbers.max(initial=-1)) + 1
        if end > len(kept):
            kept = np.pad(kept, (0, max(end, 2 * len(kept)) - len(kept)))
        kept[batch.numbers] = found
        self._hashes[copy] = kept
        return [other for other in self._hashes if other != copy]

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
    places = np.arange(len(column.values)) - np.repeat(column.offsets[:-1], column.lengths)
    running = np.zeros(len(places) + 1, np.uint64)
    np.cumsum(sub_keys(key, (places << 32) | column.values), out=running[1:])  # modulo 2**64
    return running[column.offsets[1:]] - running[column.offsets[:-1]]


def _has_many_ways(batch: Batch) -> NDArray[np.bool_]:
    """Which rows have at least `_LEAST_WAYS` sets of k of m candidates, bool [N]."""
    m = in_rows(~template_places(batch), batch.ids.offsets)
    k = np.minimum(m, batch.lists("masked_positions").lengths)
    # Logarithms of factorials: 0!, 1!, ...
    logs = np.append(0, np.cumsum(np.log(np.arange(1, batch.contract.sequences.length + 1))))
    many: NDArray[np.bool_] = logs[m] - logs[k] - logs[m - k] >= np.log(_LEAST_WAYS)
    return many
