"""All substrings of words, as a tree: the children of a node are its substring and one symbol more.

So what a substring takes from all its prefixes flows up the tree, and one pass over the nodes does
it for all substrings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmprep.jit import Int, bare_inline_kernel, bare_inner_kernel, bare_kernel
from lmprep.keyed_random import mix
from lmprep.ragged import enlarged
from lmprep.tokenization.pairs import Int32s, Int64s

NONE = -1
ROOT = 0

_FEWEST = 1 << 12  # nodes there is room for at first

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


class Tree(NamedTuple):
    """N nodes; a parent has a smaller number than its children."""

    parents: Int32s  # [N], of the root: NONE
    depths: Int32s  # [N], symbols of the substring
    places: Int32s  # [N], a place in the words where the substring begins
    ends: Int32s  # [P], node of the rest of the word from this place on; NONE where not taken


def tree_of(symbols: Int32s, offsets: Int64s, longest: int) -> Tree:
    """The tree of the substrings of all words of at most `longest` symbols, none negative."""
    room = _FEWEST
    tree = Tree(
        parents=np.empty(room, np.int32),
        depths=np.empty(room, np.int32),
        places=np.empty(room, np.int32),
        ends=np.full(len(symbols), NONE, np.int32),
    )
    tree.parents[ROOT], tree.depths[ROOT], tree.places[ROOT] = NONE, 0, NONE
    slots = np.full(2 * room, NONE, np.int32)
    used = np.ones(1, np.int64)
    words = len(offsets) - 1
    word = 0
    while (word := _add_words(symbols, offsets, word, longest, tree, slots, used)) < words:
        room = 2 * room + longest**2
        tree = Tree(
            enlarged(tree.parents, room),
            enlarged(tree.depths, room),
            enlarged(tree.places, room),
            tree.ends,
        )
        slots = np.full(2 * room, NONE, np.int32)
        _fill_slots(symbols, tree, slots, used[0])
    nodes = slice(used[0])
    return Tree(
        tree.parents[nodes].copy(), tree.depths[nodes].copy(), tree.places[nodes].copy(), tree.ends
    )


@bare_kernel
def _add_words(
    symbols: Int32s,
    offsets: Int64s,
    word: Int,
    longest: Int,
    tree: Tree,
    slots: Int32s,
    used: Int64s,
) -> Int:
    """Add the substrings of words from number `word` on; returns the first for which there may be
    no room, or the number of words.

    Args:
        slots: a table of nodes with open addressing, NONE where free.
        used: int64 [1], how many nodes there are.
    """
    while word < len(offsets) - 1:
        start, stop = offsets[word], offsets[word + 1]
        if stop - start <= longest and (start == stop or symbols[start] >= 0):
            if used[0] + longest * longest > len(tree.parents):
                break
            for place in range(start, stop):
                tree.ends[place] = _add_rest(symbols, place, stop, tree, slots, used)
        word += 1
    return word


@bare_inner_kernel
def _add_rest(
    symbols: Int32s, place: Int, stop: Int, tree: Tree, slots: Int32s, used: Int64s
) -> Int:
    """Add all substrings that begin at `place`; returns the node of the longest."""
    node: Int = np.int64(ROOT)
    for end in range(place, stop):
        slot = _slot_of(symbols, tree, slots, node, np.int64(symbols[end]))
        if slots[slot] == NONE:
            new = used[0]
            slots[slot] = new
            tree.parents[new], tree.depths[new], tree.places[new] = node, end - place + 1, place
            used[0] = new + 1
        node = np.int64(slots[slot])
    return node


@bare_inner_kernel
def _slot_of(symbols: Int32s, tree: Tree, slots: Int32s, parent: Int, symbol: Int) -> Int:
    """The slot of a parent's child with this symbol, or the free one where it belongs."""
    code = mix(np.uint64((parent << 32) | symbol))
    slot = np.int64(code % np.uint64(len(slots)))
    while slots[slot] != NONE:
        node = slots[slot]
        if tree.parents[node] == parent and _last_symbol(symbols, tree, node) == symbol:
            break
        slot += 1
        if slot == len(slots):
            slot = np.int64(0)
    return slot


@bare_inline_kernel
def _last_symbol(symbols: Int32s, tree: Tree, node: Int) -> Int:
    return symbols[tree.places[node] + tree.depths[node] - 1]


@bare_kernel
def _fill_slots(symbols: Int32s, tree: Tree, slots: Int32s, used: Int) -> None:
    for node in range(1, used):
        parent, symbol = np.int64(tree.parents[node]), np.int64(_last_symbol(symbols, tree, node))
        slots[_slot_of(symbols, tree, slots, parent, symbol)] = node


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
    taken = np.zeros(len(left), np.int64)
    _take_frequent(tree, starts, counts, threshold, left, taken)
    return taken


@bare_kernel
def _take_frequent(
    tree: Tree, starts: Flags, counts: Int64s, threshold: Int, left: Int64s, taken: Int64s
) -> None:
    """As `frequent_substrings`; `left` and `taken` are zeros at first."""
    for place in range(len(starts)):
        if starts[place] and tree.ends[place] != NONE:
            left[tree.ends[place]] += counts[place]
    for node in range(len(left) - 1, ROOT, -1):
        if left[node] >= threshold:
            taken[node] = left[node]
        else:
            left[tree.parents[node]] += left[node]


def split_points(tree: Tree, offsets: Int64s, taken: Int64s) -> Flags:
    """Where the longest matches begin when words are cut into what was taken, or single symbols.

    Returns:
        bool [P], whether a piece begins at this place.
    """
    starts = np.zeros(len(tree.ends), np.bool_)
    _mark_starts(tree, offsets, taken, starts)
    return starts


@bare_kernel
def _mark_starts(tree: Tree, offsets: Int64s, taken: Int64s, starts: Flags) -> None:
    """As `split_points`; `starts` is False at first."""
    for w in range(len(offsets) - 1):
        place = offsets[w]
        while place < offsets[w + 1] and tree.ends[place] != NONE:
            starts[place] = True
            node = tree.ends[place]
            while taken[node] == 0 and tree.depths[node] > 1:
                node = tree.parents[node]
            place += tree.depths[node]
