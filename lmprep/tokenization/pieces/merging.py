"""Byte-pair encoding: of all neighbours that can be merged, always those of the lowest rank.

Of equal ranks the leftmost goes first. Few symbols are searched anew after each merge; for many,
a heap knows the next one.
"""

from __future__ import annotations

import numpy as np

from lmprep.jit import (
    Int,
    bare_inline_kernel,
    bare_inner_kernel,
    bare_kernel,
    bare_melted_kernel,
)
from lmprep.tokenization.pieces.arrays import NONE, Int32s, Int64s, Scratch
from lmprep.tokenization.pieces.merge_table import NO_MERGE, outcome
from lmprep.tokenization.scanning.bits import peek, poke

FEW = 32
"""Symbols up to which searching is quicker than a heap."""

_LOW = np.int64(0xFFFFFFFF)


@bare_inline_kernel
def merge(merges: Int64s, symbols: Int32s, count: int, scratch: Scratch) -> int:
    """Merge the first `count` of the symbols in place; returns how many are left."""
    if count <= FEW:
        return _merge_few(merges, symbols, count, scratch.ranked)
    return _merge_many(merges, symbols, count, scratch)


@bare_melted_kernel
def _merge_few(merges: Int64s, symbols: Int32s, count: int, ranked: Int64s) -> int:
    """`ranked[i]` is the outcome of symbols i and i + 1."""
    for i in range(count - 1):
        poke(ranked, i, outcome(merges, peek(symbols, i), peek(symbols, i + 1)))
    while count > 1:
        best: Int = np.int64(0)
        least = peek(ranked, 0)
        for i in range(1, count - 1):
            found = peek(ranked, i)
            best = i if found < least else best
            least = found if found < least else least
        if least == NO_MERGE:
            break
        joined = least & _LOW
        poke(symbols, best, np.int32(joined))
        count -= 1
        for i in range(best + 1, count):
            poke(symbols, i, peek(symbols, i + 1))
            poke(ranked, i, peek(ranked, i + 1))
        if best > 0:
            poke(ranked, best - 1, outcome(merges, peek(symbols, best - 1), joined))
        if best < count - 1:
            poke(ranked, best, outcome(merges, joined, peek(symbols, best + 1)))
    return count


@bare_kernel
def _merge_many(merges: Int64s, symbols: Int32s, count: int, scratch: Scratch) -> int:
    """The same with a heap of `rank << 32 | place`, which may hold merges that are out of date.

    `ranked[place]` is the outcome of the symbol there and the one after it: a merge is up to date
    if it has the same rank, as no other pair has.
    """
    before, after, ranked, heap = scratch.before, scratch.after, scratch.ranked, scratch.heap
    size: Int = np.int64(0)
    for i in range(count):
        before[i] = i - 1
        after[i] = i + 1 if i + 1 < count else NONE
        size = _rank(merges, symbols, i, size, scratch)
    while size > 0:
        first = heap[0]
        size = _without_first(heap, size)
        place = first & _LOW
        if ranked[place] == NO_MERGE or ranked[place] >> 32 != first >> 32:
            continue
        second = after[place]
        symbols[place] = ranked[place] & _LOW
        ranked[second] = NO_MERGE
        after[place] = after[second]
        if after[place] != NONE:
            before[after[place]] = place
        earlier: Int = np.int64(before[place])
        if earlier != NONE:
            size = _rank(merges, symbols, earlier, size, scratch)
        size = _rank(merges, symbols, place, size, scratch)
    return _close_ranks(symbols, after, count)


@bare_inner_kernel
def _rank(merges: Int64s, symbols: Int32s, place: int, size: int, scratch: Scratch) -> int:
    """Note what becomes of the symbol at `place` and the next; returns the size of the heap."""
    after = scratch.after[place]
    found = NO_MERGE
    if after != NONE:
        found = outcome(merges, symbols[place], symbols[after])
    scratch.ranked[place] = found
    if found != NO_MERGE:
        _push(scratch.heap, size, (found & ~_LOW) | place)
        size += 1
    return size


@bare_inner_kernel
def _close_ranks(symbols: Int32s, after: Int32s, count: int) -> int:
    """Move those of `count` symbols that are left together; returns how many."""
    left = 0
    place = 0 if count > 0 else NONE
    while place != NONE:
        symbols[left] = symbols[place]
        left += 1
        place = after[place]
    return left


@bare_inner_kernel
def _push(heap: Int64s, size: int, item: np.int64) -> None:
    """Put an item on a binary heap, the smallest first."""
    at = size
    while at > 0 and item < heap[(at - 1) >> 1]:
        heap[at] = heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    heap[at] = item


@bare_inner_kernel
def _without_first(heap: Int64s, size: int) -> int:
    """Take the first item off the heap; returns its new size."""
    size -= 1
    item = heap[size]
    at = 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if item <= heap[child]:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = item
    return size
