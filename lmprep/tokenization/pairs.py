"""Words as symbols, and where in them each pair of neighbours stands: what merging works on.

Joining a pair visits its own places only, so a merge costs what it changes and not the whole text.
A join makes pairs with the joined symbol alone, and all that there will ever be of two symbols
stand there once the later of the two was made. So a pair gets its number and the list of its places
once and for all, from left to right; it has gone from a place as soon as another number stands
there; and no pair has to be looked for, but among those of the join that makes it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import Int, bare_inline_kernel, bare_inner_kernel, bare_kernel
from lmprep.keyed_random import mix
from lmprep.ragged import enlarged

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]

NONE = -1
KEY, COUNT, START, MARK = range(4)  # columns of Pairs.table
GONE, COME, PLACE = range(3)  # columns of what `join` changes
_SYMBOL, _LINK, _PAIR, _WORD = range(4)  # columns of Words.rows
_INSIDE = -2  # _SYMBOL of a character in a joined symbol that another one begins
_ON_LEFT, _ON_RIGHT = range(2)  # rows of Pairs.latest
_FEWEST = 1 << 12  # pairs there is room for at first


class Words(NamedTuple):
    """All words as lists of symbols, P characters in all."""

    # [P + 1, 4], a row for each character behind one that stands for none. Where a symbol begins:
    # the symbol, or a negative number for a character that is none; where the next one begins; the
    # number of the pair of both, NONE if they are not neighbours; the word. In the last row of a
    # symbol of several, the link leads to its first.
    rows: Int32s
    counts: Int64s  # [W], how often each word occurs


class Pairs(NamedTuple):
    """For each pair of neighbours: its count, and a list of places where it may stand.

    A pair (left, right) has the key `left << 32 | right`, and a number, from 0 by first sight.
    Lists are not cleaned when a pair goes away from a place. MARK is for the caller, NONE at first.
    """

    table: Int64s  # [N + 1, 4], KEY, COUNT, START (where its list begins, behind the last), MARK
    places: Int32s  # the lists, one after another: rows of Words.rows
    latest: Int32s  # [2, symbols], the latest pair with each symbol on its left, and on its right
    used: Int64s  # [1], pairs in use


def words_of(symbols: Int32s, offsets: Int64s, counts: Int64s) -> Words:
    """Words ready to be merged in, but for their pairs.

    Args:
        symbols: int32 [P], all words one after another; a negative symbol has no neighbours.
        offsets: int64 [W + 1], where each word begins.
        counts: int64 [W], how often each word occurs.
    """
    if len(symbols) >= 2**30:
        raise ValueError(f"distinct words of {len(symbols)} characters in all are too many")
    rows = np.empty((len(symbols) + 1, 4), np.int32)
    rows[0] = NONE, 1, NONE, 0
    rows[1:, _SYMBOL] = symbols
    rows[:, _LINK] = np.arange(1, len(rows) + 1)
    rows[1:, _WORD] = np.repeat(np.arange(len(counts)), np.diff(offsets))
    ends_word = np.zeros(len(symbols) + 1, np.bool_)
    ends_word[offsets] = True
    joint = ~ends_word[1:-1] & (symbols[1:] >= 0) & (symbols[:-1] >= 0)
    rows[1:, _PAIR] = NONE
    rows[1:-1, _PAIR][joint] = 0
    return Words(rows, counts)


def pairs_of(words: Words, most_symbols: int) -> Pairs:
    """All pairs of neighbours with their counts and places.

    Args:
        words: the numbers of pairs are written into them.
        most_symbols: how many symbols there may come to be.
    """
    slots = np.full(2 * _FEWEST, NONE, np.int32)
    table = np.empty((_FEWEST, 4), np.int64)
    used = np.zeros(1, np.int64)
    place = 1
    while (place := _number_pairs(words, place, slots, table, used)) < len(words.rows):
        table = enlarged(table, 2 * len(table))
        slots = np.full(2 * len(table), NONE, np.int32)
        _fill_slots(table[: used[0]], slots)
    places = np.empty(len(words.rows), np.int32)
    _list_places(words, table, places, used[0])
    return Pairs(table, places, np.full((2, most_symbols), NONE, np.int32), used)


def with_room(pairs: Pairs, needed: int) -> Pairs:
    """The same pairs with room for so many more pairs and places."""
    used = int(pairs.used[0])
    table, places = pairs.table, pairs.places
    if used + needed >= len(table):
        table = enlarged(table, max(2 * len(table), used + needed + 1))
    if table[used, START] + needed > len(places):
        places = enlarged(places, max(2 * len(places), int(table[used, START]) + needed))
    return Pairs(table, places, pairs.latest, pairs.used)


def copied(words: Words, pairs: Pairs) -> tuple[Words, Pairs]:
    """Copies to merge in, the first left as they are; what never changes is shared."""
    return Words(words.rows.copy(), words.counts), Pairs(
        pairs.table.copy(), pairs.places.copy(), pairs.latest.copy(), pairs.used.copy()
    )


@bare_inner_kernel
def has_room(pairs: Pairs, needed: Int) -> bool:
    """Whether so many more pairs and places can be noted."""
    used = pairs.used[0]
    return bool(
        used + needed < len(pairs.table) and pairs.table[used, START] + needed <= len(pairs.places)
    )


@bare_kernel
def _number_pairs(words: Words, place: Int, slots: Int32s, table: Int64s, used: Int64s) -> Int:
    """Number the pairs from `place` on and count them, and their places in START.

    Args:
        slots: a table of numbers with open addressing, a power of two, NONE where free.

    Returns:
        The first place whose pair finds no room; the number of rows if all do.
    """
    rows = words.rows
    while place < len(rows):
        if rows[place, _PAIR] != NONE:
            key = (np.int64(rows[place, _SYMBOL]) << 32) | np.int64(rows[place + 1, _SYMBOL])
            slot = _slot_of(slots, table, key)
            number = np.int64(slots[slot])
            if number == NONE:
                number = used[0]
                if number + 1 == len(table):
                    return place
                slots[slot] = number
                _begin(table, number, key)
                used[0] = number + 1
            table[number, COUNT] += words.counts[rows[place, _WORD]]
            table[number, START] += 1
            rows[place, _PAIR] = number
        place += 1
    return place


@bare_inner_kernel
def _slot_of(slots: Int32s, table: Int64s, key: Int) -> Int:
    """The slot of this key, or the free one where it belongs."""
    mask = len(slots) - 1
    slot = np.int64(mix(np.uint64(key)) & np.uint64(mask))
    while slots[slot] != NONE and table[slots[slot], KEY] != key:
        slot = (slot + 1) & mask
    return slot


@bare_kernel
def _fill_slots(table: Int64s, slots: Int32s) -> None:
    for number in range(len(table)):
        slots[_slot_of(slots, table, table[number, KEY])] = number


@bare_inline_kernel
def _begin(table: Int64s, number: Int, key: Int) -> None:
    """A pair that stands nowhere yet."""
    table[number, KEY] = key
    table[number, COUNT] = 0
    table[number, START] = 0
    table[number, MARK] = NONE


@bare_kernel
def _list_places(words: Words, table: Int64s, places: Int32s, used: Int) -> None:
    """Write the lists of all pairs, whose lengths stand in START."""
    _end_lists(table, 0, used, 0)
    for place in range(len(words.rows) - 1, 0, -1):
        number = words.rows[place, _PAIR]
        if number != NONE:
            table[number, START] -= 1
            places[table[number, START]] = place


@bare_inner_kernel
def _end_lists(table: Int64s, first: Int, stop: Int, at: Int) -> None:
    """Turn lengths of lists, in START, into where each ends if the first begins at `at`; the row
    behind the last gets that of the last, too."""
    for number in range(first, stop):
        at += table[number, START]
        table[number, START] = at
    table[stop, START] = at


@bare_kernel
def join(words: Words, pairs: Pairs, number: Int, joined: Int, changed: Int32s) -> tuple[Int, Int]:
    """Replace a pair by the symbol `joined` wherever it stands; of `aaa` the first two are joined.

    Args:
        words: changed.
        pairs: changed, with room for twice the places of this pair, which means nothing any more.
        number: of the pair.
        joined: the new symbol.
        changed: int32 [2 * K, 3], out, for K places of the pair: number of a pair that stands in
            one place less, of the one that stands there now, and the place.

    Returns:
        Rows of `changed`, and how many occurrences were joined, weighted by word counts.
    """
    rows, table = words.rows, pairs.table
    first = pairs.used[0]
    behind = table[first, START]
    n, occurrences = np.int64(0), np.int64(0)
    for i in range(table[number, START], table[number + 1, START]):
        place = np.int64(pairs.places[i])
        if rows[place, _PAIR] != number:
            continue
        count = words.counts[rows[place, _WORD]]
        occurrences += count
        before = place - 1
        if rows[before, _SYMBOL] == _INSIDE:
            before = np.int64(rows[before, _LINK])
        second = np.int64(rows[place, _LINK])
        after = np.int64(rows[second, _LINK])
        gone = rows[second, _PAIR]
        rows[second, _SYMBOL] = _INSIDE
        rows[second, _PAIR] = NONE
        rows[after - 1, _LINK] = place
        rows[place, _SYMBOL] = joined
        rows[place, _LINK] = after
        rows[place, _PAIR] = NONE
        if rows[before, _PAIR] != NONE:
            left = np.int64(rows[before, _SYMBOL])
            come = _noted(pairs, _ON_LEFT, left, (left << 32) | joined, first, count)
            table[rows[before, _PAIR], COUNT] -= count
            changed[n, GONE], changed[n, COME], changed[n, PLACE] = (
                rows[before, _PAIR],
                come,
                before,
            )
            rows[before, _PAIR] = come
            n += 1
        if gone != NONE:
            right = np.int64(rows[after, _SYMBOL])
            come = _noted(pairs, _ON_RIGHT, right, (joined << 32) | right, first, count)
            table[gone, COUNT] -= count
            changed[n, GONE], changed[n, COME], changed[n, PLACE] = gone, come, place
            rows[place, _PAIR] = come
            n += 1
    _end_lists(table, first, pairs.used[0], behind)
    for i in range(n - 1, -1, -1):
        come = np.int64(changed[i, COME])
        table[come, START] -= 1
        pairs.places[table[come, START]] = changed[i, PLACE]
    return n, occurrences


@bare_inline_kernel
def _noted(pairs: Pairs, side: Int, symbol: Int, key: Int, first: Int, count: Int) -> Int:
    """Count an occurrence of a pair of `symbol` and the joined one; returns the pair's number.

    Args:
        first: number of the first pair that this join made, or will make.
    """
    number = np.int64(pairs.latest[side, symbol])
    if number < first:
        number = pairs.used[0]
        pairs.used[0] = number + 1
        pairs.latest[side, symbol] = number
        _begin(pairs.table, number, key)
    pairs.table[number, COUNT] += count
    pairs.table[number, START] += 1
    return number
