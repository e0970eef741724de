"""Columns as Arrow: the smallest integer type that holds a vocabulary or a length.

Ids and positions are stored as uint16 where they fit, else int32; the reader widens them, since
torch cannot compute with uint16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from lmprep.batches import Columns
from lmprep.ragged import Ragged

Flat = np.ndarray[tuple[int], np.dtype[Any]]

# What a column holds decides its type on disk: ids, positions in a sequence, or the type it has.
_IDS = {"input_ids", "masked_labels", "labels"}
_POSITIONS = {
    "masked_positions", "document_starts", "sentence_starts", "span_starts", "span_lengths",
    "noise_positions",
}  # fmt: skip


def smallest(limit: int) -> np.dtype[np.uint16] | np.dtype[np.int32]:
    """The type for values 0 to limit - 1."""
    return np.dtype(np.uint16) if limit <= 1 << 16 else np.dtype(np.int32)


def to_arrow(
    columns: Columns, *, vocabulary_size: int, length: int, narrow: bool = True
) -> pa.RecordBatch:
    """Columns as one record batch; ids and positions narrowed, or int32 as they are.

    Raises:
        ValueError: an id or position does not fit the narrower type.
    """
    size, longest = smallest(vocabulary_size), smallest(length)
    kinds = dict.fromkeys(_IDS, size) | dict.fromkeys(_POSITIONS, longest) if narrow else {}
    arrays = {}
    for name, column in columns.items():
        if isinstance(column, Ragged):
            arrays[name] = list_array(
                _narrowed(name, column, kinds[name]) if name in kinds else column
            )
        else:
            arrays[name] = flat_array(column)
    return pa.RecordBatch.from_pydict(arrays)


def _narrowed(name: str, column: Ragged, dtype: np.dtype[Any]) -> Ragged:
    """The column in this type. Positions in raw text may lie beyond the length it was cut to."""
    values = column.values
    if len(values) and not 0 <= values.min() <= values.max() <= np.iinfo(dtype).max:
        outside = values.min() if values.min() < 0 else values.max()
        raise ValueError(f"{outside} in column {name} does not fit in {dtype.name}")
    return column.as_dtype(dtype)


def list_array(ragged: Ragged) -> pa.ListArray:
    """A ragged array as an Arrow list column, values not copied."""
    if ragged.offsets[-1] >= 2**31:
        raise ValueError(f"{ragged.offsets[-1]} values in one column; shards hold fewer than 2^31")
    offsets = flat_array(ragged.offsets.astype(np.int32))
    return pa.ListArray.from_arrays(offsets, flat_array(ragged.values))


def flat_array(values: Flat) -> pa.Array:
    """Numbers or booleans as an Arrow array, only the latter copied: the opposite of `flat`, and
    made by hand for the same reason."""
    if values.dtype == np.bool_:
        data = np.packbits(values, bitorder="little")
    else:
        data = np.ascontiguousarray(values)
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(data)])


def from_arrow(array: pa.Array) -> Ragged | Flat:
    """An Arrow column as a ragged or plain array, values not copied."""
    if pa.types.is_list(array.type):
        return Ragged(flat(array.values), flat(array.offsets).astype(np.int64))
    return flat(array)


def flat(array: pa.Array) -> Flat:
    """The values of an Arrow array of numbers or booleans without nulls; only the latter, which
    Arrow packs eight to a byte, are copied.

    Arrow's own `to_numpy` imports pandas: a third of a second of every command that reads any.
    """
    start, stop = array.offset, array.offset + len(array)
    data = array.buffers()[1]
    if pa.types.is_boolean(array.type):
        bits = np.frombuffer(data, np.uint8) if len(array) else np.empty(0, np.uint8)
        values = np.unpackbits(bits, count=stop, bitorder="little").view(np.bool_)
    else:
        dtype = np.dtype(array.type.to_pandas_dtype())
        values = np.frombuffer(data, dtype, stop) if stop else np.empty(0, dtype)
    values = values[start:]
    values.flags.writeable = False  # kernels are compiled for one kind of array
    return values


def widened(dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """The type a stored value is read as: int32 for uint16, else its own."""
    return np.dtype(np.int32) if dtype == np.uint16 else dtype
