"""All substrings of words, as a tree: the children of a node are its substring and one symbol more.

So what a substring takes from all its prefixes flows up the tree, and one pass over the nodes does
it for all substrings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmprep.jit import kernel
from lmprep.keyed_random import mix
from lmprep.tokenization.pairs import Int32s, Int64s

NONE = -1
ROOT = 0

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


class Tree(NamedTuple):
    """N nodes; a parent has a smaller number than its children."""

    parents: Int32s  # [N], of the root: NONE
    depths: Int32s  # [N], symbols of the substring
    places: Int32s  # [N], a place in the words where the substring begins
    ends: Int32s  # [P], node of the rest of the word from this place on; NONE where not taken


@kernel
def tree_of(symbols: Int32s, offsets: Int64s, longest: int) -> Tree:
    """The tree of the substrings of all words of at most `longest` symbols, none negative."""
    capacity = 1 << 12
    parents, depths = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    places = np.empty(capacity, np.int32)
    parents[ROOT], depths[ROOT], places[ROOT] = NONE, 0, NONE
    ends = np.full(len(symbols), np.int32(NONE))
    slots = np.full(2 * capacity, np.int32(NONE))
    used = 1
    for w in range(len(offsets) - 1):
        start, stop = offsets[w], offsets[w + 1]
        if stop - start > longest or (start < stop and symbols[start] < 0):
            continue
        if used + longest * longest > capacity:
            capacity = 2 * capacity + longest * longest
            parents, depths = _longer(parents, capacity), _longer(depths, capacity)
            places = _longer(places, capacity)
            slots = _rehashed(symbols, parents, depths, places, used, 2 * capacity)
        for place in range(start, stop):
            node = ROOT
            for end in range(place, stop):
                slot = _slot_of(symbols, parents, depths, places, slots, node, symbols[end])
                if slots[slot] == NONE:
                    slots[slot] = used
                    parents[used], depths[used], places[used] = node, end - place + 1, place
                    used += 1
                node = slots[slot]
            ends[place] = node
    return Tree(parents[:used].copy(), depths[:used].copy(), places[:used].copy(), ends)


@kernel
def _longer(array: Int32s, length: int) -> Int32s:
    longer = np.empty(length, np.int32)
    longer[: len(array)] = array
    return longer


@kernel
def _slot_of(
    symbols: Int32s,
    parents: Int32s,
    depths: Int32s,
    places: Int32s,
    slots: Int32s,
    parent: int,
    symbol: int,
) -> np.int64:
    """The slot of a parent's child with this symbol, or the free one where it belongs."""
    code = mix(np.uint64((np.int64(parent) << 32) | np.int64(symbol)))
    slot = np.int64(code % np.uint64(len(slots)))
    while slots[slot] != NONE:
        node = slots[slot]
        if parents[node] == parent and symbols[places[node] + depths[node] - 1] == symbol:
            break
        slot += 1
        if slot == len(slots):
            slot = np.int64(0)
    return slot


@kernel
def _rehashed(
    symbols: Int32s, parents: Int32s, depths: Int32s, places: Int32s, used: int, length: int
) -> Int32s:
    slots = np.full(length, np.int32(NONE))
    for node in range(1, used):
        symbol = symbols[places[node] + depths[node] - 1]
        slot = _slot_of(symbols, parents, depths, places, slots, parents[node], symbol)
        slots[slot] = node
    return slots


@kernel
def frequent_substrings(tree: Tree, starts: Flags, counts: Int64s, threshold: int) -> Int64s:
    """How often each substring is taken: those of `threshold` or more are, the longest first.

    A substring that is taken takes its count from all its prefixes: a longest match that finds it
    does not find them.

    Args:
        tree: of the words.
        starts: bool [P], places at which a substring may begin.
        counts: int64 [P], how often the word at each place occurs.
        threshold: least count of a substring that is taken.

    Returns:
        int64 [N], 0 for those that are not taken.
    """
    left = np.zeros(len(tree.parents), np.int64)
    for place in range(len(starts)):
        if starts[place] and tree.ends[place] != NONE:
            left[tree.ends[place]] += counts[place]
    taken = np.zeros(len(left), np.int64)
    for node in range(len(left) - 1, ROOT, -1):
        if left[node] >= threshold:
            taken[node] = left[node]
        else:
            left[tree.parents[node]] += left[node]
    return taken


@kernel
def split_points(tree: Tree, offsets: Int64s, taken: Int64s) -> Flags:
    """Where the longest matches begin when words are cut into what was taken, or single symbols.

    Returns:
        bool [P], whether a piece begins at this place.
    """
    starts = np.zeros(len(tree.ends), np.bool_)
    for w in range(len(offsets) - 1):
        place = offsets[w]
        while place < offsets[w + 1] and tree.ends[place] != NONE:
            starts[place] = True
            node = tree.ends[place]
            while taken[node] == 0 and tree.depths[node] > 1:
                node = tree.parents[node]
            place += tree.depths[node]
    return starts
