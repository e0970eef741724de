"""Ragged arrays: rows of different length as one flat array and its offsets.

The Arrow list layout: row i is `values[offsets[i]:offsets[i + 1]]`. A ragged array becomes an
Arrow list column, or comes out of one, without a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lmprep.jit import bare_kernel, inline_kernel

Array = NDArray[Any]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Ragged:
    """N rows of values.

    Args:
        values: any dtype, [T]; rows lie in it one after another.
        offsets: int64 [N + 1], never falling, within 0 and T.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.offsets.dtype != np.int64 or self.offsets.ndim != 1 or len(self.offsets) == 0:
            raise ValueError("offsets must be a one-dimensional int64 array with a first entry")
        if self.offsets[0] < 0 or self.offsets[-1] > len(self.values):
            raise ValueError(
                f"offsets run from {self.offsets[0]} to {self.offsets[-1]}, "
                f"outside {len(self.values)} values"
            )

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[int]], dtype: DTypeLike) -> Ragged:
        """Build from Python rows: for tests and small inputs."""
        lists = [list(row) for row in rows]
        flat = [value for row in lists for value in row]
        return cls(np.array(flat, dtype), offsets_of([len(row) for row in lists]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        """Row `row` as a view."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[row] for row in range(len(self)))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each row, int64 [N]."""
        return np.diff(self.offsets)

    def take(self, rows: NDArray[np.int64]) -> Ragged:
        """The given rows, copied, in the given order."""
        offsets = offsets_of(self.offsets[rows + 1] - self.offsets[rows])
        values = np.empty(offsets[-1], self.values.dtype)
        # A kernel is compiled for each size of values, not for each type of that size.
        plain = np.dtype(f"u{values.itemsize}")
        _take(
            np.ascontiguousarray(self.values).view(plain),
            self.offsets,
            np.ascontiguousarray(rows, np.int64),
            values.view(plain),
            offsets,
        )
        return Ragged(values, offsets)

    def padded(self, length: int, fill: int, dtype: DTypeLike) -> NDArray[Any]:
        """A dense array [N, length]: rows from the left, then `fill`. Longer rows are refused."""
        if len(self) and self.lengths.max() > length:
            raise ValueError(f"a row of {self.lengths.max()} values does not fit in {length}")
        dense = np.full((len(self), length), fill, dtype)
        _pad(self.values, self.offsets, dense)
        return dense

    def as_dtype(self, dtype: DTypeLike) -> Ragged:
        """The same rows with values of another dtype; no copy where none is needed."""
        return Ragged(self.values.astype(dtype, copy=False), self.offsets)


def offsets_of(lengths: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
    """Offsets of rows with these lengths: int64 [N + 1], from 0."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def enlarged(array: NDArray[Scalar], length: int) -> NDArray[Scalar]:
    """The same array, or a copy with room for `length` rows; the new ones hold anything."""
    if length == len(array):
        return array
    larger = np.empty_like(array, shape=(length, *array.shape[1:]))
    larger[: len(array)] = array
    return larger


def concatenate(parts: Sequence[Ragged]) -> Ragged:
    """The rows of all parts, in order. At least one part."""
    values = np.concatenate([p.values[p.offsets[0] : p.offsets[-1]] for p in parts])
    return Ragged(values, offsets_of(np.concatenate([p.lengths for p in parts])))


@inline_kernel
def copy_run(values: Array, start: int, stop: int, out: Array, at: int) -> None:
    """Copy values[start:stop] to out[at:], in kernels.

    With signed places numba asks for each element whether its place counts from the end, and copies
    one at a time; with unsigned ones it is up to eighteen times as fast.
    """
    first, place = np.uint64(start), np.uint64(at)
    for i in range(np.uint64(stop - start)):
        out[place + i] = values[first + i]


@bare_kernel
def _take(
    values: Array, offsets: Array, rows: Array, out_values: Array, out_offsets: Array
) -> None:
    for i in range(len(rows)):
        copy_run(values, offsets[rows[i]], offsets[rows[i] + 1], out_values, out_offsets[i])


@bare_kernel
def _pad(values: Array, offsets: Array, dense: Array) -> None:
    for i in range(len(offsets) - 1):
        copy_run(values, offsets[i], offsets[i + 1], dense[i], 0)
