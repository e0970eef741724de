"""The special tokens at the ends of inputs and targets, put on and taken off again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary


def end_token(vocabulary: Vocabulary) -> int:
    """The token that ends inputs and targets (`</s>`)."""
    if vocabulary.sep is None:
        raise ValueError(f"this vocabulary of family {vocabulary.family} has no end token </s>")
    return vocabulary.sep


def with_ends(text: Ragged, begin: tuple[int, ...], end: tuple[int, ...]) -> Ragged:
    """A copy of the rows, int32, with these tokens before and behind each."""
    rows, added = len(text), len(begin) + len(end)
    offsets = text.offsets - text.offsets[0] + added * np.arange(rows + 1)
    out = np.empty(offsets[-1], np.int32)
    before, after = np.array(begin, np.int32), np.array(end, np.int32)
    _enclose(text.values, text.offsets, before, after, out)
    return Ragged(out, offsets)


def without_ends(rows: Ragged, begin: int, end: int) -> Ragged:
    """A copy of the rows, int32, less `begin` tokens at the front and `end` at the back of each."""
    if len(rows) and rows.lengths.min() < begin + end:
        raise ValueError(f"a row of {rows.lengths.min()} tokens has no {begin + end} ends")
    offsets = rows.offsets - rows.offsets[0] - (begin + end) * np.arange(len(rows) + 1)
    out = np.empty(offsets[-1], np.int32)
    _strip(rows.values, rows.offsets, begin, out, offsets)
    return Ragged(out, offsets)


@bare_kernel
def _enclose(
    values: NDArray[np.int32],
    offsets: NDArray[np.int64],
    before: NDArray[np.int32],
    after: NDArray[np.int32],
    out: NDArray[np.int32],
) -> None:
    place = 0
    for row in range(len(offsets) - 1):
        for token in before:
            out[place] = token
            place += 1
        for i in range(offsets[row], offsets[row + 1]):
            out[place] = values[i]
            place += 1
        for token in after:
            out[place] = token
            place += 1


@bare_kernel
def _strip(
    values: NDArray[np.int32],
    offsets: NDArray[np.int64],
    begin: int,
    out: NDArray[np.int32],
    out_offsets: NDArray[np.int64],
) -> None:
    for row in range(len(offsets) - 1):
        shift = offsets[row] + begin - out_offsets[row]
        for i in range(out_offsets[row], out_offsets[row + 1]):
            out[i] = values[i + shift]
