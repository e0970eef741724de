"""Rows out of mapped record batches: every value is copied once, to where its row is wanted.

A step of training takes its rows from all over a dataset, hardly two from one record batch. So the
addresses of all record batches' buffers stand in one table, and one pass over the rows finds each.
Arrow's layout is read as it lies in the file: a column of lists has its values in a row and int32
offsets into them; booleans lie eight to a byte.

N rows; each is given by the number of its record batch and its place there.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numba import carray, types  # type: ignore[attr-defined]
from numba.extending import intrinsic
from numpy.typing import NDArray

from lmprep.batches import Columns
from lmprep.jit import inline_kernel, kernel
from lmprep.ragged import Ragged, offsets_of
from lmprep.shards.schema import widened

Array = NDArray[Any]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Column:
    """Where a column lies.

    Args:
        values: int64, the address of the values in each record batch.
        offsets: int64, likewise of the offsets; None unless it is a column of lists.
        stored: the type of the values; uint8 for booleans in lists.
        bits: are they booleans in lists?
    """

    values: Numbers
    offsets: Numbers | None
    stored: np.dtype[Any]
    bits: bool = False


class RecordBatches:
    """Record batches of one schema, read when first asked for; what was read stays mapped.

    Args:
        count: how many there are.
        read: gives one by its number.
    """

    def __init__(self, count: int, read: Callable[[int], pa.RecordBatch]) -> None:
        self._read = read
        self._held: dict[int, pa.RecordBatch] = {}  # or their memory would go
        self._rows = np.zeros(count, np.int64)  # 0 until a record batch is read
        self._columns: dict[str, _Column] = {}

    def rows(self, batch_N: Numbers, row_N: Numbers, names: Container[str] | None) -> Columns:
        """The given rows, at least one, in the given order; ids and positions widened to int32.

        Args:
            names: columns that are wanted, as far as there are any of that name; None for all.
        """
        self._open(batch_N, row_N)
        wanted = [name for name in self._columns if names is None or name in names]
        return {name: self._gathered(self._columns[name], batch_N, row_N) for name in wanted}

    def lengths(self, name: str, batch_N: Numbers, row_N: Numbers) -> Numbers:
        """The length of each row of a column of lists, int64 [N]; no value is read."""
        self._open(batch_N, row_N)
        return _lengths(self._lists(name), batch_N, row_N, _INT32)

    def counts(
        self, name: str, counted: NDArray[np.bool_], batch_N: Numbers, row_N: Numbers
    ) -> Numbers:
        """How many values v of each row of a column of lists have counted[v]: int64 [N]."""
        self._open(batch_N, row_N)
        offsets, column = self._lists(name), self._columns[name]
        kind = np.empty(0, column.stored)
        return _counts(column.values, offsets, batch_N, row_N, counted, kind, _INT32)

    def _lists(self, name: str) -> Numbers:
        offsets = self._columns[name].offsets
        if offsets is None:
            raise TypeError(f"column {name} is not one of lists")
        return offsets

    def _open(self, batch_N: Numbers, row_N: Numbers) -> None:
        """See to it that these record batches are there, and have these rows."""
        for number in np.unique(batch_N[self._rows[batch_N] == 0]).tolist():
            batch = self._held[number] = self._read(number)
            for name, array in zip(batch.schema.names, batch.columns, strict=True):
                if name not in self._columns:
                    self._columns[name] = _column(array.type, len(self._rows))
                _enter(array, self._columns[name], number)
            self._rows[number] = batch.num_rows
        outside = (row_N < 0) | (row_N >= self._rows[batch_N])
        if outside.any():  # no kernel would notice
            first = int(outside.argmax())
            rows = self._rows[batch_N[first]]
            raise IndexError(f"row {row_N[first]} of a record batch of {rows}")

    def _gathered(self, column: _Column, batch_N: Numbers, row_N: Numbers) -> Array | Ragged:
        kind = np.empty(0, column.stored)
        if column.offsets is None:
            out = np.empty(len(row_N), column.stored)
            _copy_plain(column.values, batch_N, row_N, out)
            return out
        offsets = offsets_of(_lengths(column.offsets, batch_N, row_N, _INT32))
        dtype = np.dtype(np.bool_) if column.bits else widened(column.stored)
        values = np.empty(offsets[-1], dtype)
        copy = _copy_bits if column.bits else _copy_lists
        copy(column.values, column.offsets, batch_N, row_N, values, offsets, kind, _INT32)
        return Ragged(values, offsets)


_INT32 = np.empty(0, np.int32)


def _column(kind: pa.DataType, batches: int) -> _Column:
    """A column of which no record batch is entered yet."""
    values = np.zeros(batches, np.int64)
    if not pa.types.is_list(kind):
        return _Column(values=values, offsets=None, stored=np.dtype(kind.to_pandas_dtype()))
    bits = pa.types.is_boolean(kind.value_type)
    stored = np.dtype(np.uint8 if bits else kind.value_type.to_pandas_dtype())
    return _Column(values=values, offsets=np.zeros(batches, np.int64), stored=stored, bits=bits)


def _enter(array: pa.Array, column: _Column, number: int) -> None:
    """Enter the addresses of a record batch's column; an empty buffer has none and needs none."""
    buffers = array.buffers()
    assert array.offset == 0  # as a stream is written
    column.values[number] = 0 if buffers[-1] is None else buffers[-1].address
    if column.offsets is not None:
        assert array.values.offset == 0
        column.offsets[number] = buffers[1].address


@intrinsic
def _pointer(context: Any, address: Any) -> Any:
    """A C pointer to an address."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.int64), make


@inline_kernel
def _seen(address: int, count: int, kind: Array) -> Array:
    """The memory from an address on as an array of the type that `kind` has."""
    return carray(_pointer(address), count, kind.dtype)  # type: ignore[call-arg]


@kernel
def _lengths(offsets_at: Numbers, batch_N: Numbers, row_N: Numbers, int32: Array) -> Numbers:
    lengths = np.empty(len(row_N), np.int64)
    for i in range(len(row_N)):
        offsets = _seen(offsets_at[batch_N[i]], row_N[i] + 2, int32)
        lengths[i] = offsets[row_N[i] + 1] - offsets[row_N[i]]
    return lengths


@kernel
def _counts(
    values_at: Numbers,
    offsets_at: Numbers,
    batch_N: Numbers,
    row_N: Numbers,
    counted: NDArray[np.bool_],
    kind: Array,
    int32: Array,
) -> Numbers:
    counts = np.zeros(len(row_N), np.int64)
    for i in range(len(row_N)):
        offsets = _seen(offsets_at[batch_N[i]], row_N[i] + 2, int32)
        start, stop = offsets[row_N[i]], offsets[row_N[i] + 1]
        values = _seen(values_at[batch_N[i]], stop, kind)
        for j in range(start, stop):
            counts[i] += counted[values[j]]
    return counts


@kernel
def _copy_plain(values_at: Numbers, batch_N: Numbers, row_N: Numbers, out: Array) -> None:
    for i in range(len(row_N)):
        out[i] = _seen(values_at[batch_N[i]], row_N[i] + 1, out)[row_N[i]]


@kernel
def _copy_lists(
    values_at: Numbers,
    offsets_at: Numbers,
    batch_N: Numbers,
    row_N: Numbers,
    out: Array,
    out_offsets: Numbers,
    kind: Array,
    int32: Array,
) -> None:
    for i in range(len(row_N)):
        offsets = _seen(offsets_at[batch_N[i]], row_N[i] + 2, int32)
        start, stop = offsets[row_N[i]], offsets[row_N[i] + 1]
        values = _seen(values_at[batch_N[i]], stop, kind)
        for j in range(stop - start):
            out[out_offsets[i] + j] = values[start + j]


@kernel
def _copy_bits(
    values_at: Numbers,
    offsets_at: Numbers,
    batch_N: Numbers,
    row_N: Numbers,
    out: Array,
    out_offsets: Numbers,
    kind: Array,
    int32: Array,
) -> None:
    for i in range(len(row_N)):
        offsets = _seen(offsets_at[batch_N[i]], row_N[i] + 2, int32)
        start, stop = offsets[row_N[i]], offsets[row_N[i] + 1]
        packed = _seen(values_at[batch_N[i]], (stop + 7) >> 3, kind)
        for j in range(stop - start):
            bit = start + j
            out[out_offsets[i] + j] = (packed[bit >> 3] >> (bit & 7)) & 1
