"""Words as linked symbols, and where in them each pair of neighbours stands: what merging works on.

Joining a pair visits its own places only, so a merge costs what it changes and not the whole text.
A join makes pairs with the joined symbol alone, all of their places at once and from left to right:
so the places of a pair are recorded in ascending order, and one that was joined never comes again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import kernel
from lmprep.keyed_random import mix

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]

NONE = -1
KEY, COUNT, HEAD, MARK = range(4)  # columns of Pairs.table
PLACE, FOLLOWING = range(2)  # columns of Pairs.nodes
GONE, COME = range(2)  # columns of what `join` changes
_PAIRS, _NODES = range(2)  # fields of Pairs.used


class Symbols(NamedTuple):
    """All words as linked lists of symbols, one place a character."""

    symbols: Int32s  # [P], the symbol that begins here, or NONE inside a joined one
    before: Int32s  # [P], place of the symbol before in the same word, or NONE
    after: Int32s  # [P], place of the symbol after, or NONE
    counts: Int64s  # [P], how often the word occurs


class Pairs(NamedTuple):
    """For each pair of neighbours: its count, and a list of places where it may stand.

    A pair (left, right) has the key `left << 32 | right`, and a number, from 0 by first sight.
    Lists are not cleaned when a pair goes away: whoever reads a place looks whether the pair still
    stands there. MARK is for the caller, NONE at first.
    """

    slots: Int32s  # [S], an open-addressing table of numbers; S a power of two, NONE where free
    table: Int64s  # [N, 4], KEY, COUNT, HEAD (first node of its list), MARK
    nodes: Int32s  # [M, 2], PLACE, FOLLOWING (the next node)
    used: Int64s  # [2], pairs and nodes in use


def linked(symbols: Int32s, offsets: Int64s, counts: Int64s) -> Symbols:
    """Link the symbols of each word.

    Args:
        symbols: int32 [P], all words one after another; a negative symbol has no neighbours.
        offsets: int64 [W + 1], where each word begins.
        counts: int64 [W], how often each word occurs.
    """
    if len(symbols) >= 2**30:
        raise ValueError(f"distinct words of {len(symbols)} characters in all are too many")
    places = np.arange(len(symbols), dtype=np.int32)
    starts_word = np.zeros(len(symbols) + 1, np.bool_)
    starts_word[offsets] = True
    joint = ~starts_word[1:-1] & (symbols[1:] >= 0) & (symbols[:-1] >= 0)
    before = np.full(len(symbols), NONE, np.int32)
    after = np.full(len(symbols), NONE, np.int32)
    before[1:][joint] = places[:-1][joint]
    after[:-1][joint] = places[1:][joint]
    return Symbols(symbols.copy(), before, after, np.repeat(counts, np.diff(offsets)))


def pairs_of(words: Symbols) -> Pairs:
    """All pairs of neighbours with their counts and places."""
    some = 1 << 12
    pairs = Pairs(
        slots=np.full(2 * some, NONE, np.int32),
        table=np.empty((some, 4), np.int64),
        nodes=np.empty((len(words.symbols) + 1, 2), np.int32),
        used=np.zeros(2, np.int64),
    )
    return _count_all(words, pairs)


def copied(words: Symbols, pairs: Pairs) -> tuple[Symbols, Pairs]:
    """Copies to merge in, the first left as they are; what never changes is shared."""
    return (
        Symbols(words.symbols.copy(), words.before.copy(), words.after.copy(), words.counts),
        Pairs(pairs.slots.copy(), pairs.table.copy(), pairs.nodes.copy(), pairs.used.copy()),
    )


@kernel
def _count_all(words: Symbols, pairs: Pairs) -> Pairs:
    for place in range(len(words.symbols)):
        after = words.after[place]
        if after != NONE:
            pairs = with_room(pairs, 1)
            record(pairs, words.symbols[place], words.symbols[after], words.counts[place], place)
    return pairs


@kernel
def key_of(left: int, right: int) -> np.int64:
    """The key of a pair."""
    return (np.int64(left) << 32) | np.int64(right)


@kernel
def _slot_of(pairs: Pairs, key: np.int64) -> np.int64:
    """The slot of this key, or the free one where it belongs."""
    mask = len(pairs.slots) - 1
    slot = np.int64(mix(np.uint64(key)) & np.uint64(mask))
    while pairs.slots[slot] != NONE and pairs.table[pairs.slots[slot], KEY] != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def with_room(pairs: Pairs, needed: int) -> Pairs:
    """The same pairs with room for so many more pairs and nodes."""
    table, nodes = pairs.table, pairs.nodes
    if pairs.used[_NODES] + needed > len(nodes):
        nodes = np.empty((max(2 * len(nodes), pairs.used[_NODES] + needed), 2), np.int32)
        for node in range(pairs.used[_NODES]):
            for column in range(2):
                nodes[node, column] = pairs.nodes[node, column]
    if pairs.used[_PAIRS] + needed > len(table):
        table = np.empty((max(2 * len(table), pairs.used[_PAIRS] + needed), 4), np.int64)
        for number in range(pairs.used[_PAIRS]):
            for column in range(4):
                table[number, column] = pairs.table[number, column]
    return _with_slots(Pairs(pairs.slots, table, nodes, pairs.used))


@kernel
def _with_slots(pairs: Pairs) -> Pairs:
    """The same pairs with a slot at least twice for each row of the table."""
    wanted = len(pairs.slots)
    while wanted < 2 * len(pairs.table):
        wanted *= 2
    if wanted == len(pairs.slots):
        return pairs
    wider = Pairs(np.empty(wanted, np.int32), pairs.table, pairs.nodes, pairs.used)
    for slot in range(wanted):
        wider.slots[slot] = NONE
    for number in range(pairs.used[_PAIRS]):
        wider.slots[_slot_of(wider, pairs.table[number, KEY])] = number
    return wider


@kernel
def record(pairs: Pairs, left: int, right: int, count: int, place: int) -> np.int64:
    """Add one place to the list of a pair; returns the pair's number."""
    key = key_of(left, right)
    slot = _slot_of(pairs, key)
    number = np.int64(pairs.slots[slot])
    if number == NONE:
        number = pairs.used[_PAIRS]
        pairs.used[_PAIRS] = number + 1
        pairs.slots[slot] = number
        pairs.table[number, KEY] = key
        pairs.table[number, COUNT] = 0
        pairs.table[number, HEAD] = NONE
        pairs.table[number, MARK] = NONE
    node = pairs.used[_NODES]
    pairs.used[_NODES] = node + 1
    pairs.nodes[node, PLACE] = place
    pairs.nodes[node, FOLLOWING] = pairs.table[number, HEAD]
    pairs.table[number, HEAD] = node
    pairs.table[number, COUNT] += count
    return number


@kernel
def _forget(pairs: Pairs, left: int, right: int, count: int) -> np.int64:
    """One place of a pair is gone: lower its count; returns the pair's number."""
    number = np.int64(pairs.slots[_slot_of(pairs, key_of(left, right))])
    pairs.table[number, COUNT] -= count
    return number


@kernel
def places_of(pairs: Pairs, number: int) -> Int32s:
    """The places on the list of a pair, ascending, so that of `aaa` the first two are joined."""
    length = 0
    node = pairs.table[number, HEAD]
    while node != NONE:
        length += 1
        node = pairs.nodes[node, FOLLOWING]
    places = np.empty(length, np.int32)
    node = pairs.table[number, HEAD]
    for i in range(length - 1, -1, -1):  # the last one recorded comes first on the list
        places[i] = pairs.nodes[node, PLACE]
        node = pairs.nodes[node, FOLLOWING]
    return places


@kernel
def join(
    words: Symbols, pairs: Pairs, key: int, places: Int32s, joined: int, changed: Int64s
) -> tuple[int, int]:
    """Replace a pair by the symbol `joined` at these places, where it still stands there.

    Args:
        words: changed.
        pairs: changed, with room for 2 * len(places) new ones; the joined pair has no meaning any
            more.
        key: of the pair.
        places: int32 [K], ascending.
        joined: the new symbol.
        changed: int64 [2 * K, 2], out: number of a pair that stands in one place less, and of the
            one that stands there now.

    Returns:
        Rows of `changed`, and how many occurrences were joined, weighted by word counts.
    """
    left, right = int(key >> 32), int(key & 0xFFFFFFFF)
    n, occurrences = 0, 0
    for place in places:
        second = words.after[place]
        if words.symbols[place] != left or second == NONE or words.symbols[second] != right:
            continue
        before, after, count = words.before[place], words.after[second], words.counts[place]
        words.symbols[place] = joined
        words.symbols[second] = NONE
        words.after[place] = after
        occurrences += count
        if before != NONE:
            changed[n, GONE] = _forget(pairs, words.symbols[before], left, count)
            changed[n, COME] = record(pairs, words.symbols[before], joined, count, before)
            n += 1
        if after != NONE:
            words.before[after] = place
            changed[n, GONE] = _forget(pairs, right, words.symbols[after], count)
            changed[n, COME] = record(pairs, joined, words.symbols[after], count, place)
            n += 1
    return n, occurrences
