"""Merges by likelihood: join the pair that occurs most often for how often its symbols do.

The score of a pair is count(ab) / (count(a) * count(b)) in the text as it is cut at the time
(arXiv:1609.08144 takes the criterion from Schuster and Nakajima, 2012; this formula is the one of
textbooks: joining the pair with the highest score raises the likelihood of the text under a unigram
model of its pieces the most per occurrence). By the score alone the first merges would be pairs of
symbols seen once, together: junk. So a pair counts only if it occurs `least` times, with the
largest `least` that still gives as many pieces as are wanted. (Found by bisection: in small tables
now and then a larger one does again what a smaller one does not, and is not looked for.)

Of equal scores the more frequent pair comes first, then the one with the smaller symbols.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lmprep.jit import Int, kernel
from lmprep.tokenization.candidates import (
    Candidates,
    add_candidate,
    drop_candidate,
    first_candidate,
    no_candidates,
    update_candidate,
    update_symbol,
)
from lmprep.tokenization.pairs import (
    COME,
    COUNT,
    GONE,
    KEY,
    MARK,
    NONE,
    START,
    Int32s,
    Int64s,
    Pairs,
    Words,
    copied,
    has_room,
    join,
    pairs_of,
    with_room,
    words_of,
)


def merge_likely(
    symbols: Int32s, offsets: Int64s, counts: Int64s, alphabet: int, most: int
) -> tuple[Int64s, int]:
    """Join pairs by likelihood `most` times, or until no pair is left.

    Args:
        symbols, offsets, counts, alphabet, most: as for `merges.merge_frequent`.

    Returns:
        The merges by rank as their keys, int64 [M], and the least count of a pair: with it there
        are `most` merges and with one more there are not, or it is 1.
    """
    words = words_of(symbols, offsets, counts)
    most = min(most, len(symbols))
    pairs = pairs_of(words, alphabet + most)
    known = symbols >= 0
    frequencies = np.zeros(alphabet, np.int64)
    np.add.at(frequencies, symbols[known], np.repeat(counts, np.diff(offsets))[known])

    def merged(least: int) -> Int64s:
        return _merged(*copied(words, pairs), frequencies, alphabet, most, least)

    commonest = int(pairs.table[: pairs.used[0], COUNT].max(initial=0))
    return _largest_least(merged, most, commonest)


def _largest_least(
    merged: Callable[[int], Int64s], most: int, commonest: int
) -> tuple[Int64s, int]:
    """Double the least count until there are too few merges, then halve the gap.

    Args:
        merged: the merges for a least count.
        most: number of merges wanted.
        commonest: count of the most frequent pair; a larger least count allows no merge.
    """
    least, best = 1, merged(1)
    if len(best) < most:
        return best, least
    too_large, doubling = commonest + 1, True
    while too_large - least > 1:
        middle = (least + too_large) // 2
        tried = min(2 * least, middle) if doubling else middle
        found = merged(tried)
        if len(found) == most:
            least, best = tried, found
        else:
            too_large, doubling = tried, False
    return best, least


def _merged(
    words: Words, pairs: Pairs, frequencies: Int64s, alphabet: int, most: int, least: int
) -> Int64s:
    """The merges for a least count."""
    candidates = _add_all(no_candidates(alphabet + most, frequencies), pairs, least)
    changed = np.empty((0, 3), np.int32)
    merges = np.empty(most, np.int64)
    made = needed = 0
    while True:
        candidates, made, needed = _merge(
            words, pairs, candidates, changed, alphabet, merges, made, least
        )
        if not needed:
            return merges[:made]
        pairs = with_room(pairs, needed)
        if needed > len(changed):
            changed = np.empty((2 * needed, 3), np.int32)


@kernel
def _add_all(candidates: Candidates, pairs: Pairs, least: int) -> Candidates:
    """Make all pairs candidates that occur often enough."""
    for number in range(pairs.used[0]):
        if pairs.table[number, COUNT] >= least:
            candidates = add_candidate(candidates, pairs, number)
    return candidates


@kernel
def _merge(
    words: Words,
    pairs: Pairs,
    candidates: Candidates,
    changed: Int32s,
    alphabet: int,
    merges: Int64s,
    made: int,
    least: int,
) -> tuple[Candidates, int, int]:
    """Merge until all merges are made, no candidate is left, or there is no room.

    Returns:
        The candidates, how many merges are made, and rows needed in `pairs` and `changed` for the
        next one; 0 if there is none.
    """
    while made < len(merges):
        candidate, number = first_candidate(candidates)
        if candidate == NONE:
            break
        needed = 2 * (pairs.table[number + 1, START] - pairs.table[number, START])
        if not has_room(pairs, needed) or needed > len(changed):
            return candidates, made, needed
        drop_candidate(candidates, pairs, candidate)
        key, joined = pairs.table[number, KEY], alphabet + made
        merges[made] = key
        made += 1
        n, occurrences = join(words, pairs, number, joined, changed)
        candidates.frequencies[key >> 32] -= occurrences
        candidates.frequencies[key & 0xFFFFFFFF] -= occurrences
        candidates.frequencies[joined] = occurrences
        for symbol in (key >> 32, key & 0xFFFFFFFF, joined):
            update_symbol(candidates, pairs, symbol, least)
        for i in range(n):
            gone: Int = np.int64(changed[i, GONE])
            come: Int = np.int64(changed[i, COME])
            if pairs.table[gone, MARK] != NONE:
                update_candidate(candidates, pairs, pairs.table[gone, MARK], least)
            if pairs.table[come, MARK] == NONE and pairs.table[come, COUNT] >= least:
                candidates = add_candidate(candidates, pairs, come)
    return candidates, made, 0
