"""Columns as Arrow: the smallest integer type that holds a vocabulary or a length.

Ids and positions are stored as uint16 where they fit, else int32; the reader widens them, since
torch cannot compute with uint16.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lmprep.batches import Columns
from lmprep.ragged import Ragged

# What a column holds decides its type on disk: ids, positions in a sequence, or the type it has.
_IDS = {"input_ids", "masked_labels", "labels"}
_POSITIONS = {
    "masked_positions", "document_starts", "sentence_starts", "span_starts", "span_lengths",
    "noise_positions",
}  # fmt: skip


def smallest(limit: int) -> np.dtype[np.uint16] | np.dtype[np.int32]:
    """The type for values 0 to limit - 1."""
    return np.dtype(np.uint16) if limit <= 1 << 16 else np.dtype(np.int32)


def to_arrow(columns: Columns, *, vocabulary_size: int, length: int) -> pa.RecordBatch:
    """Columns as one record batch, ids and positions narrowed."""
    arrays = {}
    for name, column in columns.items():
        if name in _IDS and isinstance(column, Ragged):
            column = column.as_dtype(smallest(vocabulary_size))
        elif name in _POSITIONS and isinstance(column, Ragged):
            column = column.as_dtype(smallest(length))
        arrays[name] = list_array(column) if isinstance(column, Ragged) else pa.array(column)
    return pa.RecordBatch.from_pydict(arrays)


def list_array(ragged: Ragged) -> pa.ListArray:
    """A ragged array as an Arrow list column, values not copied."""
    if ragged.offsets[-1] >= 2**31:
        raise ValueError(f"{ragged.offsets[-1]} values in one column; shards hold fewer than 2^31")
    return pa.ListArray.from_arrays(pa.array(ragged.offsets.astype(np.int32)), ragged.values)


def from_arrow(array: pa.Array) -> Ragged | np.ndarray[tuple[int], np.dtype[np.generic]]:
    """An Arrow column as a ragged or plain array, values not copied."""
    if pa.types.is_list(array.type):
        offsets = array.offsets.to_numpy().astype(np.int64)
        # Arrow packs eight booleans into a byte; these must be copied.
        packed = pa.types.is_boolean(array.type.value_type)
        return Ragged(array.values.to_numpy(zero_copy_only=not packed), offsets)
    return array.to_numpy(zero_copy_only=True)  # type: ignore[no-any-return]


def widened(dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """The type a stored value is read as: int32 for uint16, else its own."""
    return np.dtype(np.int32) if dtype == np.uint16 else dtype
