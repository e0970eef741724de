"""Order words: the most frequent first, equals by code points, which is by UTF-8 bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel
from lmprep.tokenization.counted_words import CountedWords

_STEP = 8
"""Bytes compared at a time, as one integer."""


def order_of(words: CountedWords) -> NDArray[np.int64]:
    """The places of distinct words in order, int64 [W].

    All are sorted by count and their first eight bytes, then those that are still equal by the
    next eight, and so on.
    """
    keys, rest = _pieces(words, np.arange(len(words)), 0)
    order = np.lexsort((rest, keys, -words.counts))
    begins = _changes(words.counts[order], keys[order], rest[order])
    open_ = np.flatnonzero(_in_groups(begins) & (rest[order] > _STEP))
    group = np.cumsum(begins)[open_]
    depth = _STEP
    while len(open_):
        rows = order[open_]
        keys, rest = _pieces(words, rows, depth)
        inner = np.lexsort((rest, keys, group))  # a group keeps its places: they follow one another
        order[open_] = rows[inner]
        begins = _changes(group[inner], keys[inner], rest[inner])
        still = _in_groups(begins) & (rest[inner] > _STEP)
        open_, group = open_[still], np.cumsum(begins)[still]
        depth += _STEP
    return order


def _pieces(
    words: CountedWords, rows: NDArray[np.int64], depth: int
) -> tuple[NDArray[np.uint64], NDArray[np.int8]]:
    """Eight bytes of each of these words from byte `depth` on, and how many there are: 9 for more.

    Where there are fewer, zeros follow; the number tells them from bytes that are zero.
    """
    keys = np.empty(len(rows), np.uint64)
    rest = np.empty(len(rows), np.int8)
    _cut_out(words.text, words.offsets, rows, depth, keys, rest)
    return keys, rest


def _changes(*columns: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where a row differs from the one before; the first does."""
    changes = np.zeros(len(columns[0]), np.bool_)
    changes[:1] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return changes


def _in_groups(begins: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows are not alone in their group."""
    alone = begins.copy()
    alone[:-1] &= begins[1:]
    return ~alone


@bare_kernel
def _cut_out(
    text: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    rows: NDArray[np.int64],
    depth: int,
    keys: NDArray[np.uint64],
    rest: NDArray[np.int8],
) -> None:
    for i in range(len(rows)):
        start = offsets[rows[i]] + depth
        left = min(offsets[rows[i] + 1] - start, _STEP + 1)
        key = np.uint64(0)
        for j in range(_STEP):
            byte = np.uint64(text[start + j]) if j < left else np.uint64(0)
            key = (key << np.uint64(8)) | byte
        keys[i] = key
        rest[i] = left
