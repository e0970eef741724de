"""A bounded memory of words and their ids, made for one cache line a hit.

Keys (see `words`) are exact, so a hit compares two numbers. Longer words, up to `LONGEST_KEPT`
bytes, are found by a hash and compared byte by byte; still longer ones hardly come again.

An entry holds up to three ids itself. More ids, and those that the library gave, lie in a pool,
where an id that begins a word is stored as it is and one that continues it as -1 - id.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import Int, bare_inline_kernel, bare_inner_kernel, bare_kernel, bare_melted_kernel
from lmprep.tokenization.scanning.bits import peek, poke, store
from lmprep.tokenization.scanning.words import code_of

Bytes = NDArray[np.uint8]
Flags = NDArray[np.uint8]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
UInt64s = NDArray[np.uint64]

LONGEST_KEPT = 255
MISSING = -1
"""A word that is not in the cache."""

_WORDS_PER_SLOT = 4
_POOLED = np.uint64(1 << 63)
_INLINE_IDS = 3
_ONE_START = np.uint64(1)
"""Eight flags of which the first is set."""
_HALF = np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_FILL = 5
"""Eighths of the slots in use at most: probes stay short."""

SHORT_USED, LONG_USED, TEXT_USED, POOL_USED = range(4)  # fields of WordCache.used


class WordCache(NamedTuple):
    """The tables. S slots for short words and L for long ones, both powers of two.

    Args:
        short: uint64 [4 S]: the key, then ids 0 and 1, then id 2 and the number of ids; or, with
            the highest bit set, where in the pool the ids begin, and their number. Zeros are free.
        long_hashes: uint64 [L], 0 where free.
        long_places: int64 [4 L]: start and length in `text`, start and number of ids in `pool`.
        text: uint8, the bytes of long words.
        pool: int32, ids.
        used: int64 [4], entries for short and long words, bytes of text, ids in the pool.
    """

    short: UInt64s
    long_hashes: UInt64s
    long_places: Int64s
    text: Bytes
    pool: Int32s
    used: Int64s


def new_cache(short_slots: Int, long_slots: Int) -> WordCache:
    """An empty cache; 32 bytes a short slot, about 120 a long one."""
    return WordCache(
        short=_zeros(_WORDS_PER_SLOT * short_slots),
        long_hashes=np.zeros(long_slots, np.uint64),
        long_places=np.zeros(4 * long_slots, np.int64),
        text=np.empty(40 * long_slots + LONGEST_KEPT, np.uint8),
        pool=np.empty(2 * short_slots + 8 * long_slots + LONGEST_KEPT, np.int32),
        used=np.zeros(4, np.int64),
    )


def _zeros(size: Int) -> UInt64s:
    """Zeros that were written: for large arrays numpy asks for huge pages then, and look-ups miss
    the processor's table of pages less often."""
    array = np.empty(size, np.uint64)
    array.fill(0)
    return array


@bare_inline_kernel
def has_room(cache: WordCache, ids: Int) -> bool:
    """Whether any further word of `ids` ids can be kept."""
    return bool(
        8 * cache.used[SHORT_USED] < _FILL * (len(cache.short) // _WORDS_PER_SLOT)
        and 8 * cache.used[LONG_USED] < _FILL * len(cache.long_hashes)
        and cache.used[TEXT_USED] + LONGEST_KEPT <= len(cache.text)
        and cache.used[POOL_USED] + ids <= len(cache.pool)
    )


@bare_inline_kernel
def place_of(short: UInt64s, code: np.uint64) -> Int:
    """Where in `WordCache.short` a key with this hash would lie best."""
    return np.int64(code << np.uint64(2)) & (len(short) - 1)


@bare_inline_kernel
def find_short(short: UInt64s, place: Int, low: np.uint64, high: np.uint64) -> Int:
    """Place of a key's entry, or -1 - the free place where it belongs.

    Args:
        place: where to begin, `place_of` the key.
    """
    mask = len(short) - 1
    while True:
        found = peek(short, place + 1)
        if found == high and peek(short, place) == low:
            return place
        if found == 0:
            return -1 - place
        place = (place + _WORDS_PER_SLOT) & mask


@bare_melted_kernel
def add_short(
    cache: WordCache, place: Int, low: np.uint64, high: np.uint64, ids: Int32s, count: Int
) -> None:
    """Keep one word with its ids at the free place of its key; there must be room."""
    cache.short[place] = low
    cache.short[place + 1] = high
    cache.used[SHORT_USED] += 1
    if count > _INLINE_IDS:
        pool_ids(cache, ids, count)
        cache.short[place + 2] = np.uint64(cache.used[POOL_USED] - count)
        cache.short[place + 3] = _POOLED | (np.uint64(count) << _HALF)
        return
    first = np.uint64(ids[0]) if count > 0 else np.uint64(0)
    second = np.uint64(ids[1]) if count > 1 else np.uint64(0)
    third = np.uint64(ids[2]) if count > 2 else np.uint64(0)
    cache.short[place + 2] = first | (second << _HALF)
    cache.short[place + 3] = third | (np.uint64(count) << _HALF)


@bare_melted_kernel
def pool_ids(cache: WordCache, ids: Int32s, count: Int) -> None:
    """Put the ids of one word into the pool."""
    at = cache.used[POOL_USED]
    for i in range(count):
        cache.pool[at + i] = ids[i] if i == 0 else -1 - ids[i]
    cache.used[POOL_USED] = at + count


@bare_inner_kernel
def pool_marked(cache: WordCache, ids: Int32s, word_start: Flags) -> None:
    """Put ids into the pool that may be of several words, or begin none."""
    at = cache.used[POOL_USED]
    for i in range(len(ids)):
        cache.pool[at + i] = ids[i] if word_start[i] else -1 - ids[i]
    cache.used[POOL_USED] = at + len(ids)


@bare_inner_kernel
def add_short_pooled(
    cache: WordCache, place: Int, low: np.uint64, high: np.uint64, count: Int
) -> None:
    """Keep a key whose ids are the last `count` of the pool."""
    cache.short[place] = low
    cache.short[place + 1] = high
    cache.short[place + 2] = np.uint64(cache.used[POOL_USED] - count)
    cache.short[place + 3] = _POOLED | (np.uint64(count) << _HALF)
    cache.used[SHORT_USED] += 1


@bare_inner_kernel
def emit_pooled(
    cache: WordCache, start: Int, count: Int, ids: Int32s, word_start: Flags, at: Int
) -> Int:
    """Write ids from the pool; returns where the next one goes."""
    for i in range(count):
        value = cache.pool[start + i]
        ids[at + i] = value if value >= 0 else -1 - value
        word_start[at + i] = np.uint8(value >= 0)
    return at + count


@bare_inline_kernel
def emit_short(short: UInt64s, place: Int, ids: Int32s, word_start: Flags, at: Int) -> Int:
    """Write the ids of an entry; returns where the next ones go, -1 if they lie in the pool.

    `ids` must have room for three, `word_start` for eight.
    """
    pair, rest = peek(short, place + 2), peek(short, place + 3)
    if rest >= _POOLED:
        return -1
    store(ids, at, pair)
    poke(ids, at + 2, np.int32(rest & _LOW_HALF))
    store(word_start, at, _ONE_START)
    return at + np.int64(rest >> _HALF)


@bare_inline_kernel
def emit_short_pooled(cache: WordCache, place: Int, ids: Int32s, word_start: Flags, at: Int) -> Int:
    """As `emit_short` for an entry with its ids in the pool."""
    count = np.int64((cache.short[place + 3] & ~_POOLED) >> _HALF)
    return emit_pooled(cache, np.int64(cache.short[place + 2]), count, ids, word_start, at)


@bare_inner_kernel
def find_long(cache: WordCache, text: Bytes, start: Int, stop: Int, code: np.uint64) -> Int:
    """The slot of a long word, or -1 - the free slot where it belongs."""
    mask = len(cache.long_hashes) - 1
    slot = np.int64(code >> np.uint64(20)) & mask
    while cache.long_hashes[slot] != 0:
        if cache.long_hashes[slot] == code and _is_at(cache, slot, text, start, stop):
            return slot
        slot = (slot + 1) & mask
    return -1 - slot


@bare_inner_kernel
def _is_at(cache: WordCache, slot: Int, text: Bytes, start: Int, stop: Int) -> bool:
    kept = cache.long_places[4 * slot]
    if cache.long_places[4 * slot + 1] != stop - start:
        return False
    for i in range(stop - start):  # noqa: SIM110, kernels know no generators
        if cache.text[kept + i] != text[start + i]:
            return False
    return True


@bare_inner_kernel
def add_long(
    cache: WordCache, slot: Int, text: Bytes, start: Int, stop: Int, code: np.uint64, count: Int
) -> None:
    """Keep a long word whose ids are the last `count` of the pool; there must be room."""
    kept = cache.used[TEXT_USED]
    for i in range(stop - start):
        cache.text[kept + i] = text[start + i]
    cache.long_hashes[slot] = code
    cache.long_places[4 * slot] = kept
    cache.long_places[4 * slot + 1] = stop - start
    cache.long_places[4 * slot + 2] = cache.used[POOL_USED] - count
    cache.long_places[4 * slot + 3] = count
    cache.used[TEXT_USED] = kept + stop - start
    cache.used[LONG_USED] += 1


@bare_kernel
def move_entries(cache: WordCache, larger: WordCache) -> None:
    """Copy everything into an empty cache with at least as much room in each part."""
    for i in range(cache.used[POOL_USED]):
        larger.pool[i] = cache.pool[i]
    for i in range(cache.used[TEXT_USED]):
        larger.text[i] = cache.text[i]
    for i in range(len(cache.used)):
        larger.used[i] = cache.used[i]
    for place in range(0, len(cache.short), _WORDS_PER_SLOT):
        if cache.short[place + 1] != 0:
            low, high = cache.short[place], cache.short[place + 1]
            free = -1 - find_short(
                larger.short, place_of(larger.short, code_of(low, high)), low, high
            )
            for i in range(_WORDS_PER_SLOT):
                larger.short[free + i] = cache.short[place + i]
    mask = len(larger.long_hashes) - 1
    for slot in range(len(cache.long_hashes)):
        if cache.long_hashes[slot] != 0:
            free = np.int64(cache.long_hashes[slot] >> np.uint64(20)) & mask
            while larger.long_hashes[free] != 0:
                free = (free + 1) & mask
            larger.long_hashes[free] = cache.long_hashes[slot]
            for i in range(4):
                larger.long_places[4 * free + i] = cache.long_places[4 * slot + i]


def kept_words(cache: WordCache) -> tuple[Bytes, Int64s, Int64s]:
    """All words of a cache whose model numbers them.

    Returns:
        Their bytes one after another, uint8; where each begins, int64 [W + 1]; their numbers.
    """
    slots = cache.short.reshape(-1, _WORDS_PER_SLOT)
    slots = slots[slots[:, 1] != 0]
    lengths = (slots[:, 1] >> np.uint64(56)).astype(np.int64) - 1
    letters = np.ascontiguousarray(slots[:, :2]).view(np.uint8).reshape(-1, 16)
    short = letters[np.arange(16) < lengths[:, None]]
    places = cache.long_places.reshape(-1, 4)[cache.long_hashes != 0]
    places = places[np.argsort(places[:, 0])]  # as their bytes lie in `text`
    numbers = (slots[:, 2] & _LOW_HALF).astype(np.int64)
    return (
        np.concatenate([short, cache.text[: cache.used[TEXT_USED]]]),
        np.concatenate([[0], np.cumsum(np.concatenate([lengths, places[:, 1]]))]),
        np.concatenate([numbers, cache.pool[places[:, 2]].astype(np.int64)]),
    )
