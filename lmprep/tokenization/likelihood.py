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

from lmprep.jit import kernel
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
    COUNT,
    KEY,
    MARK,
    NONE,
    Int32s,
    Int64s,
    Pairs,
    Symbols,
    copied,
    join,
    linked,
    pairs_of,
    places_of,
    with_room,
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
    words = linked(symbols, offsets, counts)
    pairs = pairs_of(words)
    most = min(most, len(symbols))
    known = symbols >= 0
    frequencies = np.zeros(alphabet, np.int64)
    np.add.at(frequencies, symbols[known], words.counts[known])

    def merged(least: int) -> Int64s:
        candidates = no_candidates(alphabet + most, frequencies)
        return _merge(*copied(words, pairs), candidates, alphabet, most, least)

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


@kernel
def _merge(
    words: Symbols, pairs: Pairs, candidates: Candidates, alphabet: int, most: int, least: int
) -> Int64s:
    for number in range(pairs.used[0]):
        if pairs.table[number, COUNT] >= least:
            candidates = add_candidate(candidates, pairs, number)
    merges = np.empty(most, np.int64)
    for made in range(most):
        candidate, number = first_candidate(candidates)
        if candidate == NONE:
            return merges[:made]
        drop_candidate(candidates, pairs, candidate)
        key, joined = pairs.table[number, KEY], alphabet + made
        merges[made] = key
        places = places_of(pairs, number)
        pairs = with_room(pairs, 2 * len(places))
        changed = np.empty((2 * len(places), 2), np.int64)
        n, occurrences = join(words, pairs, key, places, joined, changed)
        candidates.frequencies[key >> 32] -= occurrences
        candidates.frequencies[key & 0xFFFFFFFF] -= occurrences
        candidates.frequencies[joined] = occurrences
        for symbol in (key >> 32, key & 0xFFFFFFFF, joined):
            update_symbol(candidates, pairs, symbol, least)
        for i in range(n):
            gone, come = changed[i]
            if pairs.table[gone, MARK] != NONE:
                update_candidate(candidates, pairs, pairs.table[gone, MARK], least)
            if pairs.table[come, MARK] == NONE and pairs.table[come, COUNT] >= least:
                candidates = add_candidate(candidates, pairs, come)
    return merges
