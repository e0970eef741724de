"""Words on their way from the text to their ids: what a cut hands to the look-up.

A *batch* holds words in the order of the text, four uint64 each: two that say what the word is, its
hash, and where in the text it begins. What a word is:

- a *key*, of up to 15 bytes: the bytes, zeros, and in the highest byte the length plus one;
- *long*: where its bytes begin in the `letters` of the batch, and a mark with their number;
- *unsafe*: 0, and a mark; the text up to the next word is left to the library.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import Int, bare_inline_kernel, bare_inner_kernel
from lmprep.tokenization.scanning.bits import load8, low_bytes, poke, store
from lmprep.tokenization.scanning.marks import Marks

Bytes = NDArray[np.uint8]
Int64s = NDArray[np.int64]
UInt64s = NDArray[np.uint64]

LONGEST_KEY = 15
FIELDS = 4
"""uint64 that a word takes in a batch: LOW, HIGH, CODE and START."""
BATCH = 1 << 16
"""Words of a batch, two megabytes: few enough to be near the processor, many for a call from
Python. (Measured: half as many cost 4 % more time, a quarter 7 %.)"""

AHEAD = 32
"""Words between one that is looked up and one whose place in the cache is asked for."""

LONG = np.uint64(0xFE << 56)
UNSAFE = np.uint64(0xFF << 56)
NO_KEY = LONG
"""What is at least this in its second place is no key."""

DONE = 0
"""All sentences are cut, or the batch is full; or all of its words are looked up."""
PAGE_MISSING = -2
"""A character on a page that has not been filled: fill it, and go on."""
LETTERS_FULL = -3
"""No room for the bytes of a long word: look up what there is; if that is nothing, make more."""
UNSAFE_TEXT = -4
"""A word that only the library can encode: have it done, and go on behind it."""
CACHE_FULL = -5
"""No room for another word: make the cache larger, or forget all, and go on."""
OUTPUT_FULL = -6
SCRATCH_FULL = -7
"""A word is longer than the work arrays: make them larger, and go on."""

PLACE, SENTENCE, WORDS, LETTERS, CODE, WORD, LOOKED_UP, WRITTEN, BEGUN = range(9)
"""Fields of a scan's state. The cut: its place in the text and its sentence; words in the batch,
and bytes of long ones; the code point on a missing page. The look-up: the next word of the batch,
and its sentence; ids written in all, and before this sentence."""
STATE_FIELDS = 9

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_OTHER_FACTOR = np.uint64(0xC2B2AE3D27D4EB4F)
_HALF = np.uint64(32)

KEY_MASKS = np.array(
    [(1 << 8 * min(max(n - at, 0), 8)) - 1 for n in range(LONGEST_KEY + 1) for at in (0, 8)],
    np.uint64,
)
"""The bits of a key of n bytes: two uint64 for each n from 0 on."""


class Batch(NamedTuple):
    """Words that were cut.

    Args:
        words: uint64 [FIELDS * (BATCH + AHEAD)].
        letters: uint8, bytes of long words, normalized.
        ends: int64 [sentences], number of the batch's words up to the end of each sentence that
            ends in it.
        marks: of the text that is cut next.
    """

    words: UInt64s
    letters: Bytes
    ends: Int64s
    marks: Marks


@bare_inline_kernel
def key_of(text: Bytes, start: Int, length: Int) -> tuple[np.uint64, np.uint64]:
    """The key of text[start:start + length], `length` from 0 to `LONGEST_KEY`."""
    return marked_key(
        low_bytes(load8(text, start), length),
        low_bytes(load8(text, start + 8), length - 8) if length > 8 else np.uint64(0),
        length,
    )


@bare_inline_kernel
def marked_key(low: np.uint64, high: np.uint64, length: Int) -> tuple[np.uint64, np.uint64]:
    """The key of a word whose bytes, and nothing else, are in `low` and `high`."""
    return low, high | (np.uint64(length + 1) << np.uint64(56))


@bare_inline_kernel
def key_length(high: np.uint64) -> Int:
    return np.int64(high >> np.uint64(56)) - 1


@bare_inline_kernel
def code_of(low: np.uint64, high: np.uint64) -> np.uint64:
    """A hash of a key, its lower half well mixed."""
    code = (low ^ (low >> np.uint64(29))) * _FACTOR
    code = (code ^ high) * _OTHER_FACTOR
    return code ^ (code >> _HALF)


@bare_inner_kernel
def hash_of(text: Bytes, start: Int, stop: Int) -> np.uint64:
    """A hash of the bytes text[start:stop] that is never 0."""
    code = np.uint64(stop - start)
    at = start
    while at < stop:
        word = low_bytes(load8(text, at), stop - at)
        code = (code ^ word) * _FACTOR
        code ^= code >> _HALF
        at += 8
    return code | np.uint64(1)


@bare_inline_kernel
def write_key(low: np.uint64, high: np.uint64, text: Bytes, start: Int) -> None:
    """Write the word of a key at text[start:], where there must be room for 16 bytes."""
    store(text, start, low)
    store(text, start + 8, high)


@bare_inline_kernel
def add_key(words: UInt64s, count: Int, low: np.uint64, high: np.uint64, start: Int) -> None:
    """Put a key into a batch of `count` words; the word begins at `start` in the text."""
    at = count * FIELDS
    poke(words, at, low)
    poke(words, at + 1, high)
    poke(words, at + 2, code_of(low, high))
    poke(words, at + 3, np.uint64(start))


@bare_inline_kernel
def add_unsafe(words: UInt64s, count: Int, start: Int) -> None:
    """Put a stretch of text that only the library can encode into a batch."""
    add_key(words, count, np.uint64(0), UNSAFE, start)


@bare_inner_kernel
def add_letters(batch: Batch, count: Int, begin: Int, end: Int, start: Int) -> Int:
    """Put the word letters[begin:end] into a batch of `count` words; it begins at `start` in the
    text. Returns how many bytes of `letters` are used now."""
    words, at = batch.words, count * FIELDS
    if end - begin <= LONGEST_KEY:
        low, high = key_of(batch.letters, begin, end - begin)
        add_key(words, count, low, high, start)
        return begin
    words[at] = np.uint64(begin)
    words[at + 1] = LONG | np.uint64(end - begin)
    words[at + 2] = hash_of(batch.letters, begin, end)
    words[at + 3] = np.uint64(start)
    return end


@bare_inner_kernel
def add_long(batch: Batch, count: Int, text: Bytes, start: Int, stop: Int, state: Int64s) -> bool:
    """Put the word text[start:stop] as it is into a batch; returns whether there was room."""
    begin = state[LETTERS]
    end = begin + stop - start
    if end > len(batch.letters):
        return False
    for i in range(stop - start):
        batch.letters[begin + i] = text[start + i]
    state[LETTERS] = add_letters(batch, count, begin, end, start)
    return True


@bare_inline_kernel
def close_sentence(batch: Batch, offsets: Int64s, count: Int, state: Int64s) -> Int:
    """The sentence has been cut, with `count` words in the batch; returns where the next begins."""
    batch.ends[state[SENTENCE]] = count
    state[SENTENCE] += 1
    return offsets[state[SENTENCE]]


@bare_inline_kernel
def suspend(words: UInt64s, count: Int, place: Int, outcome: Int, state: Int64s) -> Int:
    """Note where a cut stands, with `count` words in the batch; returns `outcome`."""
    words[count * FIELDS + 3] = place
    state[PLACE], state[WORDS] = place, count
    return outcome
