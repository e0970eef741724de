"""Merges by likelihood: join the pair that occurs most often for how often its symbols do.

The score of a pair is count(ab) / (count(a) * count(b)) in the text as it is cut at the time
(arXiv:1609.08144 takes the criterion from Schuster and Nakajima, 2012; this formula is the one of
textbooks: joining the pair with the highest score raises the likelihood of the text under a unigram
model of its pieces the most per occurrence). By the score alone the first merges would be pairs of
symbols seen once, together: junk. So a pair counts only if it occurs `least` times, with the
largest `least` that still gives as many pieces as are wanted. (Found by trying: in small tables now
and then a larger one does again what a smaller one does not, and need not be found.)

Of equal scores the more frequent pair comes first, then the one with the smaller symbols.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from lmprep.jit import Int, bare_kernel, compile_for
from lmprep.tokenization.candidates import (
    Candidates,
    add_candidate,
    drop_candidate,
    first_candidate,
    has_space,
    no_candidates,
    update_candidate,
    update_symbol,
    with_space,
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

_POWER = 1.75  # the inverse one: what it is for the first 10,000 to 60,000 pieces of English


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
    further = most + most // 8  # how many more there are tells where to look for the least count
    pairs = pairs_of(words, alphabet + further)
    known = symbols >= 0
    frequencies = np.zeros(alphabet, np.int64)
    np.add.at(frequencies, symbols[known], np.repeat(counts, np.diff(offsets))[known])

    def merged(least: int) -> Int64s:
        return _merged(*copied(words, pairs), frequencies, alphabet, further, least)

    commonest = int(pairs.table[: pairs.used[0], COUNT].max(initial=0))
    return largest_least(merged, most, commonest, int(frequencies.sum()))


def largest_least(
    merged: Callable[[int], Int64s], most: int, commonest: int, occurrences: int
) -> tuple[Int64s, int]:
    """The merges for a least count with which there are `most`, while with one more there are not.

    There are about as many merges as some power of the least count: so two least counts that were
    tried tell which one to try next. Where that does not halve the gap three times running, its
    middle is tried.

    Args:
        merged: the merges for a least count, `most` or more if there are as many.
        most: number of merges wanted.
        commonest: count of the most frequent pair; a larger least count allows no merge.
        occurrences: of all symbols.
    """
    enough, too_large = 0, commonest + 1
    best = np.empty(0, np.int64)
    aim = occurrences / (8 * most + 1)
    tried, made, power, idle = 0, 0, _POWER, 0
    while (gap := too_large - enough) > 1:
        aim = aim if idle < 3 else (enough + too_large) / 2
        before, made_before = tried, made
        tried = min(max(int(aim), enough + 1), too_large - 1)
        found = merged(tried)
        made = len(found)
        if made >= most:
            enough, best = tried, found[:most]
        else:
            too_large = tried
            best = best if enough else found
        if made_before and made and made != made_before:
            power = math.log(before / tried) / math.log(made / made_before)
            power = min(max(power, _POWER / 2), 2 * _POWER)
        aim = tried * (made / max(most, 1)) ** power
        idle = idle + 1 if 2 * (too_large - enough) > gap else 0
    return best, max(enough, 1)


def rehearse_merging() -> None:
    """Compile what merges, without what has to be done before."""
    words = words_of(np.empty(0, np.int32), np.zeros(1, np.int64), np.empty(0, np.int64))
    table, used = np.empty((1, 4), np.int64), np.zeros(1, np.int64)
    pairs = Pairs(table, np.empty(0, np.int32), np.empty((2, 0), np.int32), used)
    candidates = no_candidates(0, np.empty(0, np.int64))
    changed, merges, made = np.empty((0, 3), np.int32), np.empty(0, np.int64), np.zeros(1, np.int64)
    compile_for(_merge, words, pairs, candidates, changed, 0, merges, made, 1)


def _merged(
    words: Words, pairs: Pairs, frequencies: Int64s, alphabet: int, most: int, least: int
) -> Int64s:
    """The merges for a least count."""
    candidates = with_space(no_candidates(alphabet + most, frequencies), int(pairs.used[0]))
    _add_all(candidates, pairs, least)
    changed = np.empty((0, 3), np.int32)
    merges = np.empty(most, np.int64)
    made = np.zeros(1, np.int64)
    while needed := _merge(words, pairs, candidates, changed, alphabet, merges, made, least):
        pairs = with_room(pairs, needed)
        candidates = with_space(candidates, needed)
        if needed > len(changed):
            changed = np.empty((2 * needed, 3), np.int32)
    return merges[: made[0]]


@bare_kernel
def _add_all(candidates: Candidates, pairs: Pairs, least: Int) -> None:
    """Make all pairs candidates that occur often enough."""
    for number in range(pairs.used[0]):
        if pairs.table[number, COUNT] >= least:
            add_candidate(candidates, pairs, number)


@bare_kernel
def _merge(
    words: Words,
    pairs: Pairs,
    candidates: Candidates,
    changed: Int32s,
    alphabet: Int,
    merges: Int64s,
    made: Int64s,
    least: Int,
) -> Int:
    """Merge until all merges are made, no candidate is left, or there is no room.

    Args:
        made: int64 [1], how many merges are made.

    Returns:
        Rows needed in `pairs`, `candidates` and `changed` for the next merge; 0 if there is none.
    """
    while made[0] < len(merges):
        candidate, number = first_candidate(candidates)
        if candidate == NONE:
            break
        needed = 2 * (pairs.table[number + 1, START] - pairs.table[number, START])
        if (
            not has_room(pairs, needed)
            or not has_space(candidates, needed)
            or needed > len(changed)
        ):
            return needed
        drop_candidate(candidates, pairs, candidate)
        key, joined = pairs.table[number, KEY], alphabet + made[0]
        left, right = key >> 32, key & 0xFFFFFFFF
        merges[made[0]] = key
        made[0] += 1
        n, occurrences = join(words, pairs, number, joined, changed)
        candidates.frequencies[left] -= occurrences
        candidates.frequencies[right] -= occurrences
        candidates.frequencies[joined] = occurrences
        update_symbol(candidates, pairs, left, least)
        update_symbol(candidates, pairs, right, least)
        update_symbol(candidates, pairs, joined, least)
        for i in range(n):
            gone, come = np.int64(changed[i, GONE]), np.int64(changed[i, COME])
            if pairs.table[gone, MARK] != NONE:
                update_candidate(candidates, pairs, pairs.table[gone, MARK], least)
            if pairs.table[come, MARK] == NONE and pairs.table[come, COUNT] >= least:
                add_candidate(candidates, pairs, come)
    return 0
