"""Rows parted in two by a mask, nothing marking the places, and put together again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel
from lmprep.ragged import Ragged, offsets_of


def separate(text: Ragged, taken: NDArray[np.bool_], end: int) -> tuple[Ragged, Ragged, Ragged]:
    """The tokens left (int32) and those taken (int32), each row with its end token, and where
    the taken ones stood (int32, positions in the row, rising). All ragged, N rows.

    Args:
        text: int32 [T], N rows.
        taken: bool [T].
    """
    running = np.append(0, np.cumsum(taken))
    positions = offsets_of(np.diff(running[text.offsets]))
    ends = np.arange(len(text) + 1)
    rest = text.offsets - text.offsets[0] - positions + ends
    out = (
        Ragged(np.empty(rest[-1], np.int32), rest),
        Ragged(np.empty(positions[-1] + len(text), np.int32), positions + ends),
        Ragged(np.empty(positions[-1], np.int32), positions),
    )
    _separate(text.values, text.offsets, taken, end, out[0].values, out[1].values, out[2].values)
    return out


def merge(left: Ragged, taken: Ragged, positions: Ragged) -> Ragged:
    """Undo `separate`: int32, ragged, without end tokens."""
    if (left.lengths < 1).any() or not np.array_equal(positions.lengths, taken.lengths - 1):
        raise ValueError("rows of noise_positions are not as long as their labels without the end")
    offsets = offsets_of(left.lengths + taken.lengths - 2)
    out = np.empty(offsets[-1], np.int32)
    _merge(
        left.values,
        left.offsets,
        taken.values,
        taken.offsets,
        positions.values,
        positions.offsets,
        out,
        offsets,
    )
    return Ragged(out, offsets)


@bare_kernel
def _separate(
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    taken: NDArray[np.bool_],
    end: int,
    rest: NDArray[np.int32],
    others: NDArray[np.int32],
    positions: NDArray[np.int32],
) -> None:
    to, into, found = 0, 0, 0
    for row in range(len(offsets) - 1):
        for i in range(offsets[row], offsets[row + 1]):
            if taken[i]:
                others[into] = ids[i]
                positions[found] = i - offsets[row]
                into, found = into + 1, found + 1
            else:
                rest[to] = ids[i]
                to += 1
        rest[to] = others[into] = end
        to, into = to + 1, into + 1


@bare_kernel
def _merge(
    left: NDArray[np.int32],
    left_offsets: NDArray[np.int64],
    taken: NDArray[np.int32],
    taken_offsets: NDArray[np.int64],
    positions: NDArray[np.int32],
    position_offsets: NDArray[np.int64],
    out: NDArray[np.int32],
    offsets: NDArray[np.int64],
) -> None:
    for row in range(len(offsets) - 1):
        kept, other = left_offsets[row], taken_offsets[row]
        place, last = position_offsets[row], position_offsets[row + 1]
        for i in range(offsets[row], offsets[row + 1]):
            # Where positions are not rising inside the row, some noise comes last.
            none_left = kept == left_offsets[row + 1] - 1
            if place < last and (positions[place] == i - offsets[row] or none_left):
                out[i] = taken[other]
                other, place = other + 1, place + 1
            else:
                out[i] = left[kept]
                kept += 1
