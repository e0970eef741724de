"""Rows of ids to bytes, in the forms that other programs read.

    text    12 7 300                    a line per row, the ids with spaces between them
    jsonl   {"ids": [12, 7, 300]}       a line per row
    arrow   input_ids, word_start       an Arrow IPC stream, a record batch per block of input
    npz     ids, word_start, offsets    NumPy arrays; row i is ids[offsets[i]:offsets[i + 1]]

Each writer holds one batch at a time, but for npz, whose arrays need their length first: five bytes
for each token and eight for each row.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lmprep.encoding.digits import Notation, notation, written
from lmprep.encoding.rows import Rows
from lmprep.ragged import Ragged
from lmprep.shards.schema import list_array, smallest

Writer = Callable[[Iterable[Rows], IO[bytes], int], None]
"""Takes batches of rows, where to write them, and the size of the vocabulary."""

_TEXT = notation(b"", b" ", b"\n")
_JSONL = notation(b'{"ids": [', b", ", b"]}\n")


def write_text(batches: Iterable[Rows], sink: IO[bytes], vocabulary_size: int) -> None:
    """A line per row, empty for an empty row."""
    _write_framed(batches, sink, _TEXT)


def write_jsonl(batches: Iterable[Rows], sink: IO[bytes], vocabulary_size: int) -> None:
    """A JSON object per row, as Python's `json` would write it."""
    _write_framed(batches, sink, _JSONL)


def write_arrow(batches: Iterable[Rows], sink: IO[bytes], vocabulary_size: int) -> None:
    """An Arrow IPC stream; ids have the type that `build` stores for such a vocabulary."""
    dtype = smallest(vocabulary_size)
    schema = pa.schema(
        {
            "input_ids": pa.list_(pa.from_numpy_dtype(dtype)),
            "word_start": pa.list_(pa.bool_()),
        }
    )
    with pa.ipc.new_stream(sink, schema) as stream:
        for rows in batches:
            ids = list_array(Ragged(rows.ids.astype(dtype), rows.offsets))
            starts = list_array(Ragged(rows.word_start, rows.offsets))
            stream.write_batch(pa.record_batch([ids, starts], schema=schema))


def write_npz(batches: Iterable[Rows], sink: IO[bytes], vocabulary_size: int) -> None:
    """An uncompressed archive of arrays: ids int32, word_start bool, offsets int64."""
    ids, starts, lengths = [], [], []
    for rows in batches:
        ids.append(rows.ids)
        starts.append(rows.word_start)
        lengths.append(np.diff(rows.offsets))
    offsets = [np.zeros(1, np.int64)]
    for part in lengths:
        offsets.append(offsets[-1][-1] + np.cumsum(part))
    with zipfile.ZipFile(sink, "w") as archive:
        _write_array(archive, "ids", ids, np.dtype(np.int32))
        _write_array(archive, "word_start", starts, np.dtype(np.bool_))
        _write_array(archive, "offsets", offsets, np.dtype(np.int64))


WRITERS: dict[str, Writer] = {
    "text": write_text,
    "jsonl": write_jsonl,
    "npz": write_npz,
    "arrow": write_arrow,
}
"""By the value of `lmprep encode --to`."""


def _write_framed(batches: Iterable[Rows], sink: IO[bytes], frame: Notation) -> None:
    for rows in batches:
        sink.write(written(rows.ids, rows.offsets, frame).data)


def _write_array(
    archive: zipfile.ZipFile, name: str, parts: Sequence[NDArray[Any]], dtype: np.dtype[Any]
) -> None:
    """One array of the archive from its parts, which are never joined in memory."""
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (sum(len(part) for part in parts),),
    }
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype).data)
