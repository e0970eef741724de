"""Sums over rows that lie in flat arrays one after another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.ragged import Ragged


def running(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many flags are set before each, and in all: int64 [T + 1]."""
    before = np.zeros(len(flags) + 1, np.int64)
    np.cumsum(flags, out=before[1:])
    return before


def in_rows(flags: NDArray[np.bool_], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the flags of each row are set, int64 [N]."""
    before = running(flags)
    return before[offsets[1:]] - before[offsets[:-1]]


def any_in_rows(flags: NDArray[np.bool_], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a row has a flag that is set, bool [N]."""
    found: NDArray[np.bool_] = in_rows(flags, offsets) > 0
    return found


def row_of(column: Ragged) -> NDArray[np.int64]:
    """The row of each value, int64 [T]."""
    return np.repeat(np.arange(len(column)), column.lengths)


def place_in_row(column: Ragged) -> NDArray[np.int64]:
    """The position of each value in its row, int64 [T]."""
    starts = np.repeat(column.offsets[:-1] - column.offsets[0], column.lengths)
    places: NDArray[np.int64] = np.arange(len(starts)) - starts
    return places
