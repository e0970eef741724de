"""Byte-pair merges (arXiv:1508.07909): join the most frequent pair, again and again.

Works on distinct words with their counts. Counts are 64-bit; of equally frequent pairs the one with
the smaller symbols is joined first, so nothing depends on the order of a hash table or on threads.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import inline_kernel, kernel
from lmprep.keyed_random import mix

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
_Array = TypeVar("_Array", Int32s, Int64s)

_NONE = -1
_PAIRS, _NODES, _HEAP = range(3)  # fields of Index.used


class Symbols(NamedTuple):
    """All words as linked lists of symbols, one place a character."""

    symbols: Int32s  # [P], the symbol that begins here, or _NONE inside a joined one
    before: Int32s  # [P], place of the symbol before in the same word, or _NONE
    after: Int32s  # [P], place of the symbol after, or _NONE
    counts: Int64s  # [P], how often the word occurs


class Index(NamedTuple):
    """For each pair of neighbours: its count, and a list of places where it may stand.

    A pair (left, right) is the key `left << 32 | right`. Lists are not cleaned when a pair goes
    away: whoever reads a place looks whether the pair still stands there. The heap may hold old
    counts likewise.
    """

    keys: Int64s  # [slots], a power of two; _NONE where free
    counts: Int64s  # [slots]
    heads: Int32s  # [slots], first node of the list
    places: Int32s  # [nodes]
    following: Int32s  # [nodes]
    heap_counts: Int64s  # [nodes], a binary heap, the largest count, then the smallest key first
    heap_keys: Int64s  # [nodes]
    used: Int64s  # [3], pairs, nodes and heap entries in use


class PairQueue:
    """The pairs of symbols in a corpus, most frequent first.

    Args:
        symbols: int32 [P], all words one after another; a negative symbol stands between words
            for the pairs: it has no neighbours.
        offsets: int64 [W + 1], where each word begins.
        counts: int64 [W], how often each word occurs.
    """

    def __init__(self, symbols: Int32s, offsets: Int64s, counts: Int64s) -> None:
        if len(symbols) >= 2**30:
            raise ValueError(f"distinct words of {len(symbols)} characters in all are too many")
        self._symbols = _linked(symbols, offsets, counts)
        nodes = 2 * len(symbols) + 16
        self._index = _new_index(1 << (2 * nodes - 1).bit_length(), nodes)
        _index_all(self._symbols, self._index)

    def pop(self) -> tuple[int, int] | None:
        """The most frequent pair, or None when no two symbols are neighbours. Then `join` it."""
        key = _pop(self._index)
        return None if key == _NONE else (int(key) >> 32, int(key) & 0xFFFFFFFF)

    def join(self, left: int, right: int, joined: int) -> None:
        """Replace the pair by the symbol `joined`, everywhere, each word from left to right."""
        needed = 2 * _length_of_list(self._index, _key_of(left, right))
        index = self._index
        if index.used[_NODES] + needed > len(index.places):
            self._index = index = _more_nodes(index, needed)
        if 2 * (index.used[_PAIRS] + needed) > len(index.keys):
            self._index = index = _more_slots(index, needed)
        _join(self._symbols, index, left, right, joined)


def _linked(symbols: Int32s, offsets: Int64s, counts: Int64s) -> Symbols:
    places = np.arange(len(symbols), dtype=np.int32)
    starts_word = np.zeros(len(symbols) + 1, np.bool_)
    starts_word[offsets] = True
    joint = ~starts_word[1:-1] & (symbols[1:] >= 0) & (symbols[:-1] >= 0)
    before = np.full(len(symbols), _NONE, np.int32)
    after = np.full(len(symbols), _NONE, np.int32)
    before[1:][joint] = places[:-1][joint]
    after[:-1][joint] = places[1:][joint]
    return Symbols(symbols.copy(), before, after, np.repeat(counts, np.diff(offsets)))


def _new_index(slots: int, nodes: int) -> Index:
    return Index(
        keys=np.full(slots, _NONE, np.int64),
        counts=np.zeros(slots, np.int64),
        heads=np.full(slots, _NONE, np.int32),
        places=np.empty(nodes, np.int32),
        following=np.empty(nodes, np.int32),
        heap_counts=np.empty(nodes, np.int64),
        heap_keys=np.empty(nodes, np.int64),
        used=np.zeros(3, np.int64),
    )


def _more_nodes(index: Index, needed: int) -> Index:
    grown = max(2 * len(index.places), int(index.used[_NODES]) + needed)

    def moved(array: _Array) -> _Array:
        larger = np.empty_like(array, shape=grown)
        larger[: len(array)] = array
        return larger

    return index._replace(
        places=moved(index.places),
        following=moved(index.following),
        heap_counts=moved(index.heap_counts),
        heap_keys=moved(index.heap_keys),
    )


def _more_slots(index: Index, needed: int) -> Index:
    slots = len(index.keys)
    while 2 * (index.used[_PAIRS] + needed) > slots:
        slots *= 2
    wider = index._replace(
        keys=np.full(slots, _NONE, np.int64),
        counts=np.zeros(slots, np.int64),
        heads=np.full(slots, _NONE, np.int32),
    )
    _rehash(index, wider)
    return wider


@inline_kernel
def _key_of(left: int, right: int) -> np.int64:
    return (np.int64(left) << 32) | np.int64(right)


@inline_kernel
def _slot_of(keys: Int64s, key: np.int64) -> np.int64:
    """The slot of this key, or the free one where it belongs."""
    mask = len(keys) - 1
    slot = np.int64(mix(np.uint64(key)) & np.uint64(mask))
    while keys[slot] != key and keys[slot] != _NONE:
        slot = (slot + 1) & mask
    return slot


@kernel
def _rehash(index: Index, wider: Index) -> None:
    for old in range(len(index.keys)):
        if index.keys[old] != _NONE:
            slot = _slot_of(wider.keys, index.keys[old])
            wider.keys[slot] = index.keys[old]
            wider.counts[slot] = index.counts[old]
            wider.heads[slot] = index.heads[old]


@kernel
def _record(index: Index, left: int, right: int, count: int, place: int) -> np.int64:
    """Add one place to the list of a pair; returns the pair's slot."""
    key = _key_of(left, right)
    slot = _slot_of(index.keys, key)
    if index.keys[slot] == _NONE:
        index.keys[slot] = key
        index.used[_PAIRS] += 1
    node = index.used[_NODES]
    index.used[_NODES] = node + 1
    index.places[node] = place
    index.following[node] = index.heads[slot]
    index.heads[slot] = node
    index.counts[slot] += count
    return slot


@kernel
def _forget(index: Index, left: int, right: int, count: int) -> None:
    """One place of a pair is gone: lower its count."""
    index.counts[_slot_of(index.keys, _key_of(left, right))] -= count


@kernel
def _index_all(words: Symbols, index: Index) -> None:
    """Record all pairs of neighbours and put them on the heap."""
    for place in range(len(words.symbols)):
        after = words.after[place]
        if after != _NONE:
            _record(index, words.symbols[place], words.symbols[after], words.counts[place], place)
    for slot in range(len(index.keys)):
        if index.keys[slot] != _NONE:
            _push(index, index.counts[slot], index.keys[slot])


@kernel
def _length_of_list(index: Index, key: np.int64) -> int:
    slot = _slot_of(index.keys, key)
    length = 0
    node = index.heads[slot]
    while node != _NONE:
        length += 1
        node = index.following[node]
    return length


@kernel
def _places_of(index: Index, slot: np.int64, length: int) -> Int32s:
    """The places on a pair's list, ascending, so that of `aaa` the first two are joined."""
    places = np.empty(length, np.int32)
    node = index.heads[slot]
    for i in range(length):
        places[i] = index.places[node]
        node = index.following[node]
    places.sort()
    return places


@kernel
def _join(words: Symbols, index: Index, left: int, right: int, joined: int) -> None:
    key = _key_of(left, right)
    places = _places_of(index, _slot_of(index.keys, key), _length_of_list(index, key))
    touched = np.empty(2 * len(places), np.int64)
    n = 0
    for place in places:
        second = words.after[place]
        if words.symbols[place] != left or second == _NONE or words.symbols[second] != right:
            continue
        before, after, count = words.before[place], words.after[second], words.counts[place]
        words.symbols[place] = joined
        words.symbols[second] = _NONE
        words.after[place] = after
        if before != _NONE:
            _forget(index, words.symbols[before], left, count)
            touched[n] = _record(index, words.symbols[before], joined, count, before)
            n += 1
        if after != _NONE:
            words.before[after] = place
            _forget(index, right, words.symbols[after], count)
            touched[n] = _record(index, joined, words.symbols[after], count, place)
            n += 1
    slot = _slot_of(index.keys, key)
    index.counts[slot] = 0
    index.heads[slot] = _NONE
    for t in np.unique(touched[:n]):
        _push(index, index.counts[t], index.keys[t])


@inline_kernel
def _comes_first(count_a: np.int64, key_a: np.int64, count_b: np.int64, key_b: np.int64) -> bool:
    return bool(count_a > count_b or (count_a == count_b and key_a < key_b))


@kernel
def _push(index: Index, count: np.int64, key: np.int64) -> None:
    """Put a pair on the heap."""
    counts, keys = index.heap_counts, index.heap_keys
    at = index.used[_HEAP]
    index.used[_HEAP] = at + 1
    while at > 0:
        parent = (at - 1) // 2
        if not _comes_first(count, key, counts[parent], keys[parent]):
            break
        counts[at], keys[at] = counts[parent], keys[parent]
        at = parent
    counts[at], keys[at] = count, key


@kernel
def _remove_first(index: Index) -> None:
    """Take the first pair off the heap."""
    counts, keys = index.heap_counts, index.heap_keys
    size = index.used[_HEAP] - 1
    index.used[_HEAP] = size
    count, key = counts[size], keys[size]
    at = 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and _comes_first(
            counts[child + 1], keys[child + 1], counts[child], keys[child]
        ):
            child += 1
        if not _comes_first(counts[child], keys[child], count, key):
            break
        counts[at], keys[at] = counts[child], keys[child]
        at = child
    counts[at], keys[at] = count, key


@kernel
def _pop(index: Index) -> np.int64:
    """Take the first pair whose count is not out of date; _NONE when there is none."""
    while index.used[_HEAP] > 0:
        count, key = index.heap_counts[0], index.heap_keys[0]
        _remove_first(index)
        current = index.counts[_slot_of(index.keys, key)]
        if current == count and count > 0:
            return np.int64(key)
        if 0 < current < count:
            _push(index, current, key)
    return np.int64(_NONE)
