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

from lmprep.jit import Int, bare_inner_kernel, bare_kernel, inline_kernel
from lmprep.ragged import enlarged
from lmprep.tokenization.pairs import (
    COUNT,
    KEY,
    NONE,
    START,
    Int32s,
    Int64s,
    Pairs,
    Words,
    has_room,
    join,
    pairs_of,
    with_room,
    words_of,
)

_ENTRY_COUNT, _ENTRY_KEY, _ENTRY_PAIR = range(3)  # columns of a queue
_MADE, _QUEUED = range(2)  # fields of the state of merging

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
        The merges by rank, as the keys of their pairs: int64 [M]. Merge i makes the symbol
        `alphabet` + i.
    """
    words = words_of(symbols, offsets, counts)
    most = min(most, len(symbols))
    pairs = pairs_of(words, alphabet + most)
    queue = np.empty((2 * len(pairs.table), 3), np.int64)
    changed = np.empty((0, 3), np.int32)
    merges = np.empty(most, np.int64)
    state = np.zeros(2, np.int64)
    _queue_new(queue, pairs, 0, state)
    while needed := _merge(words, pairs, queue, changed, alphabet, merges, state):
        pairs = with_room(pairs, needed)
        if state[_QUEUED] + needed > len(queue):
            queue = enlarged(queue, 2 * len(queue) + needed)
        if needed > len(changed):
            changed = np.empty((2 * needed, 3), np.int32)
    return merges[: state[_MADE]]


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


@bare_kernel
def _merge(
    words: Words,
    pairs: Pairs,
    queue: Queue,
    changed: Int32s,
    alphabet: Int,
    merges: Int64s,
    state: Int64s,
) -> Int:
    """Merge until all merges are made, no pair is left, or there is no room.

    Returns:
        Rows needed in all tables for the next merge; 0 if there is none.
    """
    while state[_MADE] < len(merges):
        number = _first_pair(queue, pairs, state)
        if number == NONE:
            break
        needed = 2 * (pairs.table[number + 1, START] - pairs.table[number, START])
        if (
            not has_room(pairs, needed)
            or state[_QUEUED] + needed > len(queue)
            or needed > len(changed)
        ):
            return needed
        state[_QUEUED] = _without_first(queue, state[_QUEUED])
        merges[state[_MADE]] = pairs.table[number, KEY]
        before = pairs.used[0]
        join(words, pairs, number, alphabet + state[_MADE], changed)
        _queue_new(queue, pairs, before, state)
        state[_MADE] += 1
    return 0


@bare_kernel
def _queue_new(queue: Queue, pairs: Pairs, first: Int, state: Int64s) -> None:
    """Queue all pairs from number `first` on, but for those that have come and gone in one join."""
    for number in range(first, pairs.used[0]):
        count = pairs.table[number, COUNT]
        if count > 0:
            _push(queue, state[_QUEUED], count, pairs.table[number, KEY], number)
            state[_QUEUED] += 1


@inline_kernel
def _comes_first(count_a: int, key_a: int, count_b: int, key_b: int) -> bool:
    return bool(count_a > count_b or (count_a == count_b and key_a < key_b))


@bare_inner_kernel
def _push(queue: Queue, queued: Int, count: Int, key: Int, number: Int) -> None:
    """Put an entry on the queue, which has room for it."""
    at = queued
    while at > 0:
        parent = (at - 1) >> 1
        if not _comes_first(count, key, queue[parent, _ENTRY_COUNT], queue[parent, _ENTRY_KEY]):
            break
        _move(queue, parent, at)
        at = parent
    queue[at, _ENTRY_COUNT], queue[at, _ENTRY_KEY], queue[at, _ENTRY_PAIR] = count, key, number


@bare_inner_kernel
def _without_first(queue: Queue, queued: Int) -> Int:
    """Take the first entry off the queue; returns how many are left."""
    last = queued - 1
    _sink(queue, last, queue[last, _ENTRY_COUNT], queue[last, _ENTRY_KEY], queue[last, _ENTRY_PAIR])
    return last


@bare_inner_kernel
def _sink(queue: Queue, queued: Int, count: Int, key: Int, number: Int) -> None:
    """Put an entry where it belongs in place of the first one."""
    at = np.int64(0)
    while 2 * at + 1 < queued:
        child = 2 * at + 1
        if child + 1 < queued and _comes_first(
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
    queue[at, _ENTRY_COUNT], queue[at, _ENTRY_KEY], queue[at, _ENTRY_PAIR] = count, key, number


@inline_kernel
def _move(queue: Queue, source: Int, target: Int) -> None:
    for column in range(3):
        queue[target, column] = queue[source, column]


@bare_inner_kernel
def _first_pair(queue: Queue, pairs: Pairs, state: Int64s) -> Int:
    """The pair of the first entry, once that is one whose count is not out of date; counts only
    ever fall. NONE if there is none."""
    while state[_QUEUED] > 0:
        number = queue[0, _ENTRY_PAIR]
        count = pairs.table[number, COUNT]
        if count == queue[0, _ENTRY_COUNT]:
            return number
        if count > 0:
            _sink(queue, state[_QUEUED], count, queue[0, _ENTRY_KEY], number)
        else:
            state[_QUEUED] = _without_first(queue, state[_QUEUED])
    return np.int64(NONE)
