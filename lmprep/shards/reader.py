"""Shards in: a dataset folder as rows, memory-mapped, any row in constant time.

dataset = Dataset("shards")
dataset.rows(np.array([5, 0]))["input_ids"]    # a Ragged of two rows, int32
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Container
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lmprep.batches import Columns
from lmprep.errors import DatasetError
from lmprep.files import file_sha256
from lmprep.ragged import offsets_of
from lmprep.shards.cached import local_folder
from lmprep.shards.gather import RecordBatches
from lmprep.shards.manifest import WORD_COUNTS, parse_shard_name, read_manifest, refuse_dense
from lmprep.shards.schema import from_arrow
from lmprep.shards.trust import check_arrow, check_message, check_schema, check_values
from lmprep.vocabulary import Vocabulary

Numbers = NDArray[np.int64]


class Shard:
    """One shard file, memory-mapped; record batches are read, and checked, when first asked for.

    Args:
        path: the Arrow IPC stream file.
        entry: its manifest entry.
        vocabulary_size: what ids must be below, if that is known.

    Raises:
        DatasetError: it is not such a file, or does not hold what lmprep writes.
    """

    def __init__(
        self, path: Path, entry: dict[str, Any], vocabulary_size: int | None = None
    ) -> None:
        self._path, self._vocabulary_size = path, vocabulary_size
        self._buffer = self._guarded(self._mapped)
        self.schema = self._guarded(lambda: pa.ipc.open_stream(self._buffer).schema)
        self._guarded(lambda: check_schema(self.schema))
        self._offsets, self._rows = entry["batch_offsets"], entry["rows"]
        self.batches = len(self._offsets)
        self._held = RecordBatches(self.batches, self.record_batch)
        self.rows_a_batch = self.record_batch(0).num_rows if self._offsets else 0

    def _mapped(self) -> pa.Buffer:
        """The whole file; it stays mapped as long as something lies in it, but is not held open."""
        with pa.memory_map(str(self._path)) as file:
            return file.read_buffer()

    def batch(self, number: int) -> Columns:
        """Record batch `number` as columns over the mapped file, nothing widened."""
        batch = self.record_batch(number)
        return {name: from_arrow(batch.column(name)) for name in self.schema.names}

    def record_batch(self, number: int) -> pa.RecordBatch:
        """Record batch `number` as Arrow has it."""

        def read() -> pa.RecordBatch:
            file = pa.BufferReader(self._buffer)
            file.seek(self._offsets[number])
            message = pa.ipc.read_message(file)
            check_message(message)
            batch = pa.ipc.read_record_batch(message, self.schema)
            check_arrow(batch)
            check_values(batch, self._vocabulary_size)
            self._check_rows(number, batch.num_rows)
            return batch

        return self._guarded(read)

    def _check_rows(self, number: int, rows: int) -> None:
        """All record batches but the last hold equally many rows, and together those stated."""
        full = self.rows_a_batch if number else rows
        last = self._rows - (self.batches - 1) * full
        if rows != (last if number == self.batches - 1 else full) or not 0 < last <= full:
            raise ValueError(f"record batch {number} has {rows} rows, which does not fit")

    def _guarded(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (pa.ArrowException, OSError, EOFError, ValueError, struct.error) as error:
            raise DatasetError(
                f"not a readable shard ({error})", path=self._path, fix="Build the dataset again"
            ) from None

    def rows(self, indices: Numbers) -> Columns:
        """The given rows in the given order, ids and positions widened to int32."""
        return self._held.rows(*np.divmod(indices, self.rows_a_batch), None)


class Dataset:
    """A complete dataset folder: one copy of it, as rows.

    Args:
        folder: the OUT of `lmprep build`; one of a URL is copied to the cache first.
        copy: which of the stored copies to read.

    Raises:
        DatasetError: the folder is unfinished, damaged, or not ours.
    """

    def __init__(self, folder: str | Path, *, copy: int = 0) -> None:
        self.folder = local_folder(folder)
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
        self._open: dict[int, Shard] = {}
        # Record batches count through all shards.
        self._first_batch = offsets_of([len(entry["batch_offsets"]) for entry in self.shards])
        self._rows_a_batch = np.zeros(len(self.shards), np.int64)  # 0 until a shard is opened
        self._batches = RecordBatches(int(self._first_batch[-1]), self._record_batch)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def word_counts(self) -> Numbers:
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
        try:
            # Mapped first: a header that promises more than the file holds allocates nothing.
            counts: Numbers = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError) as error:
            raise DatasetError(f"not an array ({error})", path=path, fix="Build it again") from None
        if counts.dtype != np.int64 or counts.shape != (self.vocabulary.size,):
            what = f"{counts.dtype} of shape {counts.shape}, not a count for each id"
            raise DatasetError(what, path=path, fix="Build the dataset again")
        return np.array(counts)

    def shard(self, number: int) -> Shard:
        """Shard `number`, opened if it is not."""
        if number not in self._open:
            entry = self.shards[number]
            size = self.vocabulary.size
            self._open[number] = Shard(self.folder / entry["file"], entry, size)
        return self._open[number]

    def locate(self, indices: Numbers) -> tuple[Numbers, Numbers]:
        """Shard number and row within the shard of each row: int64 [B] both."""
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"rows {indices.min()} to {indices.max()} of {len(self)}")
        shards = np.searchsorted(self._starts, indices, side="right") - 1
        return shards, indices - self._starts[shards]

    def rows(self, indices: Numbers, names: Container[str] | None = None) -> Columns:
        """The given rows (int64 [B], at least one) in the given order, ids and positions int32.

        Args:
            names: columns that are wanted, as far as there are any of that name; None for all.
        """
        return self._batches.rows(*self._places(indices), names)

    def row_lengths(self, indices: Numbers, name: str = "input_ids") -> Numbers:
        """Values of a ragged column in each of the given rows, int64 [B]; they are not read."""
        return self._batches.lengths(name, *self._places(indices))

    def row_counts(self, indices: Numbers, name: str, counted: NDArray[np.bool_]) -> Numbers:
        """How many values v of each row of a ragged column have counted[v]: int64 [B].

        Args:
            counted: bool, as long as values are large.
        """
        return self._batches.counts(name, counted, *self._places(indices))

    def _places(self, indices: Numbers) -> tuple[Numbers, Numbers]:
        """Record batch and row within it of each row: int64 [B] both."""
        shards, local = self.locate(indices)
        rows_a_batch = self._rows_a_batch[shards]
        if not rows_a_batch.all():
            for number in np.unique(shards[rows_a_batch == 0]).tolist():
                self._rows_a_batch[number] = self.shard(number).rows_a_batch
            rows_a_batch = self._rows_a_batch[shards]
        batch, row = np.divmod(local, rows_a_batch)
        return self._first_batch[shards] + batch, row

    def _record_batch(self, number: int) -> pa.RecordBatch:
        shard = int(np.searchsorted(self._first_batch, number, side="right")) - 1
        return self.shard(shard).record_batch(number - int(self._first_batch[shard]))


def vocabulary_from(entry: dict[str, Any]) -> Vocabulary:
    """The vocabulary record of a manifest."""
    lists = {name: tuple(value) for name, value in entry.items() if isinstance(value, list)}
    return Vocabulary(**{**entry, **lists})
