"""Byte-pair merges (arXiv:1508.07909): join the most frequent pair, again and again.

Works on distinct words with their counts. Counts are 64-bit; of equally frequent pairs the one with
the smaller symbols is joined first, so nothing depends on the order of a hash table or on threads.

Two merges never make the same piece, whatever the criterion. While a piece is made, no join crosses
its ends, so what happens between them depends on its characters alone and is the same wherever they
stand. (In a run of one letter, joined from left to right, a join that starts elsewhere crosses the
left end.) So merge i makes symbol alphabet + i, and no text is compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import inline_kernel, kernel
from lmprep.tokenization.pairs import (
    COME,
    COUNT,
    KEY,
    MARK,
    NONE,
    Int32s,
    Int64s,
    Pairs,
    Symbols,
    join,
    linked,
    pairs_of,
    places_of,
    with_room,
)

_ENTRY_COUNT, _ENTRY_KEY, _ENTRY_PAIR = range(3)  # columns of a queue

Queue = NDArray[np.int64]
"""[capacity, 3], a binary heap: the largest count, then the smallest key first."""


def merge_frequent(
    symbols: Int32s, offsets: Int64s, counts: Int64s, alphabet: int, most: int
) -> Int64s:
    """Join the most frequent pair `most` times, or until no pair is left.

    Args:
        symbols: int32 [P], all words one after another, in numbers below `alphabet`; a negative
            symbol has no neighbours.
        offsets: int64 [W + 1], where each word begins.
        counts: int64 [W], how often each word occurs.
        alphabet: how many characters there are, the first symbols.
        most: number of merges.

    Returns:
        The merges by rank, as their keys (`pairs.key_of`): int64 [M]. Merge i makes the symbol
        `alphabet` + i.
    """
    words = linked(symbols, offsets, counts)
    return _merge(words, pairs_of(words), alphabet, min(most, len(symbols)))


def texts_of(merges: Int64s, alphabet: Sequence[str], prefix: str = "") -> list[str]:
    """Each symbol as text: the alphabet, and what the merges make.

    Args:
        merges: int64 [M], keys by rank.
        alphabet: each character, those inside a word with `prefix`.
        prefix: drops out where a symbol is joined to one before.
    """
    texts = list(alphabet)
    for key in merges.tolist():
        texts.append(texts[key >> 32] + texts[key & 0xFFFFFFFF].removeprefix(prefix))
    return texts


@kernel
def _merge(words: Symbols, pairs: Pairs, alphabet: int, most: int) -> Int64s:
    queue, queued = _queue_all(pairs)
    merges = np.empty(most, np.int64)
    for made in range(most):
        queued, number = _pop(queue, queued, pairs)
        if number == NONE:
            return merges[:made]
        merges[made] = pairs.table[number, KEY]
        places = places_of(pairs, number)
        pairs = with_room(pairs, 2 * len(places))
        changed = np.empty((2 * len(places), 2), np.int64)
        n, _ = join(words, pairs, merges[made], places, alphabet + made, changed)
        queue = _with_room(queue, queued, n)
        for i in range(n):
            queued = _push_new(queue, queued, pairs, changed[i, COME])
    return merges


@kernel
def _queue_all(pairs: Pairs) -> tuple[Queue, int]:
    number = pairs.used[0]
    queue = np.empty((number + 16, 3), np.int64)
    queued = 0
    for pair in range(number):
        queued = _push_new(queue, queued, pairs, pair)
    return queue, queued


@kernel
def _with_room(queue: Queue, queued: int, needed: int) -> Queue:
    if queued + needed <= len(queue):
        return queue
    larger = np.empty((max(2 * len(queue), queued + needed), 3), np.int64)
    for entry in range(queued):
        for column in range(3):
            larger[entry, column] = queue[entry, column]
    return larger


@kernel
def _push_new(queue: Queue, queued: int, pairs: Pairs, number: int) -> int:
    """Queue a pair unless it has been."""
    count = pairs.table[number, COUNT]
    if pairs.table[number, MARK] != NONE or count == 0:  # 0: come and gone in one join
        return queued
    pairs.table[number, MARK] = 0
    return _push(queue, queued, count, pairs.table[number, KEY], number)


@inline_kernel
def _comes_first(count_a: int, key_a: int, count_b: int, key_b: int) -> bool:
    return bool(count_a > count_b or (count_a == count_b and key_a < key_b))


@kernel
def _push(queue: Queue, queued: int, count: int, key: int, number: int) -> int:
    """Put an entry on the queue, which has room for it."""
    at = queued
    while at > 0:
        parent = (at - 1) // 2
        if not _comes_first(count, key, queue[parent, _ENTRY_COUNT], queue[parent, _ENTRY_KEY]):
            break
        _move(queue, parent, at)
        at = parent
    queue[at, _ENTRY_COUNT], queue[at, _ENTRY_KEY], queue[at, _ENTRY_PAIR] = count, key, number
    return queued + 1


@kernel
def _remove_first(queue: Queue, queued: int) -> int:
    """Take the first entry off the queue."""
    last = queued - 1
    count, key = queue[last, _ENTRY_COUNT], queue[last, _ENTRY_KEY]
    at = 0
    while 2 * at + 1 < last:
        child = 2 * at + 1
        if child + 1 < last and _comes_first(
            queue[child + 1, _ENTRY_COUNT],
            queue[child + 1, _ENTRY_KEY],
            queue[child, _ENTRY_COUNT],
            queue[child, _ENTRY_KEY],
        ):
            child += 1
        if not _comes_first(queue[child, _ENTRY_COUNT], queue[child, _ENTRY_KEY], count, key):
            break
        _move(queue, child, at)
        at = child
    _move(queue, last, at)
    return last


@inline_kernel
def _move(queue: Queue, source: int, target: int) -> None:
    for column in range(3):
        queue[target, column] = queue[source, column]


@kernel
def _pop(queue: Queue, queued: int, pairs: Pairs) -> tuple[int, int]:
    """Take the first entry whose count is not out of date; counts only ever fall.

    Returns:
        How many entries are left, and the pair's number, NONE if there is none.
    """
    while queued > 0:
        count, key, number = queue[0]
        queued = _remove_first(queue, queued)
        current = pairs.table[number, COUNT]
        if current == count:
            return queued, number
        if current > 0:
            queued = _push(queue, queued, current, key, number)
    return 0, NONE
