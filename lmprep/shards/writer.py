"""Shards out: columns to one Arrow IPC stream file, whole or absent.

The stream format, uncompressed, is what `datasets` memory-maps as it is. Arrow itself notices
neither a stream cut between two record batches nor a flipped bit: so rows, bytes, SHA-256 and the
offset of every record batch go into the manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import chain
from typing import IO, Any

import pyarrow as pa

from lmprep.batches import Columns
from lmprep.files import atomic_file
from lmprep.remote import AnyPath
from lmprep.shards.schema import to_arrow

# Record batches of 8 to 16 MB: small enough to validate one by one, large enough to scan fast.
_BATCH_BYTES = 12_000_000


class _HashingFile:
    """A file for Arrow to write to that hashes and counts what passes."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.bytes = 0

    def write(self, data: pa.Buffer) -> int:
        self.digest.update(data)
        self.bytes += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """The file belongs to its opener; Arrow's close must not close it."""


def shard_name(source: int, partition: int, copy: int) -> str:
    """The file name of a shard: a function of the plan alone."""
    return f"data-{source:05d}-{partition:05d}-{copy:02d}.arrow"


def write_shard(
    folder: AnyPath,
    name: str,
    columns: Columns,
    *,
    vocabulary_size: int,
    length: int,
    narrow: bool = True,
) -> dict[str, Any]:
    """Write columns of at least one row, ids and positions narrowed if so wished.

    Returns:
        Its manifest entry as far as the file tells it: file, rows, bytes, sha256, batch_offsets.

    Raises:
        ValueError: an id or position does not fit the type it is stored in.
    """
    batch = to_arrow(columns, vocabulary_size=vocabulary_size, length=length, narrow=narrow)
    rows_a_batch = max(1, int(batch.num_rows * _BATCH_BYTES / max(1, batch.nbytes)))
    starts = range(0, batch.num_rows, rows_a_batch)
    return write_batches(folder, name, (batch.slice(start, rows_a_batch) for start in starts))


def write_batches(folder: AnyPath, name: str, batches: Iterable[pa.RecordBatch]) -> dict[str, Any]:
    """Write record batches, at least one, as they come; return an entry as `write_shard` does.

    `Shard.rows` finds rows only where all batches but the last hold equally many.
    """
    rest = iter(batches)
    first = next(rest)
    schema_bytes = len(first.schema.serialize())  # Arrow writes it just before the first batch
    rows, offsets = 0, []
    with atomic_file(folder / name) as file:
        sink = _HashingFile(file)
        with pa.ipc.new_stream(pa.PythonFile(sink, "w"), first.schema) as stream:
            for batch in chain([first], rest):
                offsets.append(max(sink.bytes, schema_bytes))
                stream.write_batch(batch)
                rows += batch.num_rows
    return {
        "file": name,
        "rows": rows,
        "bytes": sink.bytes,
        "sha256": sink.digest.hexdigest(),
        "batch_offsets": offsets,
    }
