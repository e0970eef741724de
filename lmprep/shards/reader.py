"""Shards in: a dataset folder as rows, memory-mapped, any row in constant time.

dataset = Dataset("shards")
dataset.rows(np.array([5, 0]))["input_ids"]    # a Ragged of two rows, int32
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lmprep.batches import Columns, join_rows, take_rows
from lmprep.errors import DatasetError
from lmprep.files import file_sha256
from lmprep.ragged import Ragged, offsets_of
from lmprep.shards.manifest import WORD_COUNTS, parse_shard_name, read_manifest, refuse_dense
from lmprep.shards.schema import from_arrow, widened
from lmprep.vocabulary import Vocabulary

# Every open shard holds a file handle; the usual limit of a process is 1024.
_OPEN_SHARDS = 256


class Shard:
    """One shard file, memory-mapped; record batches are read when first asked for.

    Args:
        path: the Arrow IPC stream file.
        entry: its manifest entry.
    """

    def __init__(self, path: Path, entry: dict[str, Any]) -> None:
        self._path = path
        self._map = pa.memory_map(str(path))
        self._schema = self._guarded(lambda: pa.ipc.open_stream(self._map).schema)
        self._offsets = entry["batch_offsets"]
        self._batches: list[Columns | None] = [None] * len(self._offsets)
        self._rows_a_batch = self.record_batch(0).num_rows if self._offsets else 0

    def batch(self, number: int) -> Columns:
        """Record batch `number` as columns over the mapped file, nothing copied or widened."""
        found = self._batches[number]
        if found is None:
            batch = self.record_batch(number)
            found = {name: from_arrow(batch.column(name)) for name in self._schema.names}
            self._batches[number] = found
        return found

    def record_batch(self, number: int) -> pa.RecordBatch:
        """Record batch `number` as Arrow has it."""

        def read() -> pa.RecordBatch:
            self._map.seek(self._offsets[number])
            return pa.ipc.read_record_batch(pa.ipc.read_message(self._map), self._schema)

        return self._guarded(read)

    def _guarded(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (pa.ArrowException, OSError) as error:
            raise DatasetError(
                f"not a readable shard ({error})", path=self._path, fix="Build the dataset again"
            ) from None

    def rows(self, indices: NDArray[np.int64]) -> Columns:
        """The given rows in the given order, ids and positions widened to int32."""
        numbers = indices // self._rows_a_batch
        groups = [np.flatnonzero(numbers == number) for number in np.unique(numbers)]
        parts = [
            _take(self.batch(int(numbers[group[0]])), indices[group] % self._rows_a_batch)
            for group in groups
        ]
        return _in_order(parts, groups)


class Dataset:
    """A complete dataset folder: one copy of it, as rows.

    Args:
        folder: the OUT of `lmprep build`.
        copy: which of the stored copies to read.

    Raises:
        DatasetError: the folder is unfinished, damaged, or not ours.
    """

    def __init__(self, folder: str | Path, *, copy: int = 0) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        refuse_dense(self.folder, self.manifest)
        self.copies = int(self.manifest["settings"]["copies"])
        if not 0 <= copy < self.copies:
            raise ValueError(f"copy {copy} is not stored; {self.folder} holds {self.copies}")
        self.copy = copy
        self.vocabulary = vocabulary_from(self.manifest["vocabulary"])
        self.shards = [
            entry for entry in self.manifest["shards"] if parse_shard_name(entry["file"])[2] == copy
        ]
        self._starts = offsets_of([entry["rows"] for entry in self.shards])
        self._open: OrderedDict[int, Shard] = OrderedDict()

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def word_counts(self) -> NDArray[np.int64]:
        """How often each id occurs in the training documents, int64 [V]; skipgram stores it.

        Raises:
            ValueError: this dataset has none.
            DatasetError: the file was changed.
        """
        entry = self.manifest.get("word_counts")
        if entry is None:
            raise ValueError(f"{self.folder} of {self.manifest['objective']} has no word counts")
        path = self.folder / WORD_COUNTS
        if file_sha256(path) != entry["sha256"]:
            raise DatasetError(
                "its checksum is not the manifest's", path=path, fix="Build the dataset again"
            )
        counts: NDArray[np.int64] = np.load(path, allow_pickle=False)
        return counts

    def shard(self, number: int) -> Shard:
        """Shard `number`, opened if it is not."""
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        entry = self.shards[number]
        opened = self._open[number] = Shard(self.folder / entry["file"], entry)
        if len(self._open) > _OPEN_SHARDS:
            self._open.popitem(last=False)
        return opened

    def locate(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Shard number and row within the shard of each row: int64 [B] both."""
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"rows {indices.min()} to {indices.max()} of {len(self)}")
        shards = np.searchsorted(self._starts, indices, side="right") - 1
        return shards, indices - self._starts[shards]

    def rows(self, indices: NDArray[np.int64]) -> Columns:
        """The given rows (int64 [B], at least one) in the given order, ids and positions int32."""
        shards, local = self.locate(indices)
        groups = [np.flatnonzero(shards == number) for number in np.unique(shards)]
        parts = [self.shard(int(shards[group[0]])).rows(local[group]) for group in groups]
        return _in_order(parts, groups)


def vocabulary_from(entry: dict[str, Any]) -> Vocabulary:
    """The vocabulary record of a manifest."""
    lists = {name: tuple(value) for name, value in entry.items() if isinstance(value, list)}
    return Vocabulary(**{**entry, **lists})


def _take(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    return {
        name: column.take(rows, widened(column.values.dtype))
        if isinstance(column, Ragged)
        else column[rows]
        for name, column in columns.items()
    }


def _in_order(parts: list[Columns], groups: list[NDArray[np.int64]]) -> Columns:
    """Join the parts and put row j of group g where groups[g][j] says."""
    if len(parts) == 1 and np.array_equal(groups[0], np.arange(len(groups[0]))):
        return parts[0]
    back = np.argsort(np.concatenate(groups), kind="stable")
    return take_rows(join_rows(parts), back)
