"""The scan of GPT-2's pipelines: text cut as by its regular expression, bytes as they are.

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+

Every character is in a word. What a character is (letter, number, whitespace, other) is asked of
the library, see `code_points`; words of ASCII are found by their `marks`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import Int, bare_inline_kernel, bare_inner_kernel, bare_kernel
from lmprep.tokenization.scanning.bits import peek, peek8
from lmprep.tokenization.scanning.code_points import (
    NOT_LOADED,
    SPACE,
    CodePoints,
    decode,
    length_of,
)
from lmprep.tokenization.scanning.marks import REGION, bits_from, first_behind, mark_byte_level
from lmprep.tokenization.scanning.words import (
    BATCH,
    CODE,
    DONE,
    KEY_MASKS,
    LETTERS_FULL,
    LONGEST_KEY,
    PAGE_MISSING,
    PLACE,
    SENTENCE,
    WORDS,
    Batch,
    add_key,
    add_long,
    close_sentence,
    key_of,
    marked_key,
    suspend,
)

Bytes = NDArray[np.uint8]
Int64s = NDArray[np.int64]

_BLANK, _APOSTROPHE = 0x20, 0x27
_D, _E, _L, _M, _R, _S, _T, _V = (ord(letter) for letter in "delmrstv")
_NEWLINE, _BYTE = 0x0A, np.uint64(0xFF)


@bare_kernel
def cut_byte_level(
    text: Bytes, offsets: Int64s, gap: Int, points: CodePoints, batch: Batch, state: Int64s
) -> Int:
    """As `bert.cut_bert`."""
    kinds, words, marks = points.kinds, batch.words, batch.marks
    count, place = state[WORDS], state[PLACE]
    marked, at, found, next_marked = place, np.int64(0), np.int64(0), place
    while state[SENTENCE] < len(offsets) - 1:
        stop = offsets[state[SENTENCE] + 1] - gap
        while place < stop:
            if count == BATCH:
                return suspend(words, count, place, DONE, state)
            if at >= found and place >= next_marked:
                marked, at, found = place, np.int64(0), mark_byte_level(text, place, marks)
                next_marked = place if found else place + REGION
            if at < found:
                end = peek(marks.starts, at)
                end = end if end < stop else stop
                others = bits_from(marks.others, place - marked)
                low, high, is_word = _ascii_key(text, place, end - place, others)
                if is_word:
                    add_key(words, count, low, high, place)
                    count += 1
                    at += 1
                    place = end
                    continue
            end = _word_end(text, place, stop, kinds)
            if end < 0:
                state[CODE] = -1 - end
                return suspend(words, count, place, PAGE_MISSING, state)
            if end - place <= LONGEST_KEY:
                low, high = key_of(text, place, end - place)
                add_key(words, count, low, high, place)
            elif not add_long(batch, count, text, place, end, state):
                return suspend(words, count, place, LETTERS_FULL, state)
            count += 1
            place = end
            at = first_behind(marks, found, at, place)
        place = close_sentence(batch, offsets, count, state)
        at = first_behind(marks, found, at, place)
    return suspend(words, count, place, DONE, state)


@bare_inline_kernel
def _ascii_key(
    text: Bytes, place: Int, length: Int, others: np.uint64
) -> tuple[np.uint64, np.uint64, bool]:
    """The key of a word of an optional space and ASCII letters, digits or signs, and whether it is
    one: not if it is another kind of word, longer than a key, may go on, or is a contraction.

    Args:
        others: bits of the characters from `place` on that take a closer look.
    """
    low, high = np.uint64(peek8(text, place)), np.uint64(peek8(text, place + 8))
    first = low & _BYTE
    kept = length if length < LONGEST_KEY else np.int64(LONGEST_KEY)
    with_next = (np.uint64(2) << np.uint64(kept)) - np.uint64(1)
    is_word = (
        (others & with_next == 0)
        & (length <= LONGEST_KEY)
        & (length > np.int64(first == _BLANK))
        & (first != _APOSTROPHE)
        & (first != _NEWLINE)
    )
    low &= peek(KEY_MASKS, 2 * kept)
    high &= peek(KEY_MASKS, 2 * kept + 1)
    low, high = marked_key(low, high, kept)
    return low, high, is_word


@bare_inner_kernel
def _word_end(text: Bytes, start: Int, stop: Int, kinds: Bytes) -> Int:
    """Where the word that begins at `start` ends; -1 - a code point on a missing page."""
    end = _contraction_end(text, start, stop)
    if end > start:
        return end
    first = start + 1 if text[start] == _BLANK else start
    if first < stop:
        code = decode(text, first)
        if kinds[code] != SPACE:
            return _run_end(text, first, stop, kinds, np.int64(kinds[code]))
    end = _run_end(text, start, stop, kinds, np.int64(SPACE))
    if end < 0 or end == stop:
        return end
    # The last character of whitespace before a word is left for it, unless it is all there is.
    last = end - 1
    while text[last] & 0xC0 == 0x80:
        last -= 1
    return last if last > start else end


@bare_inner_kernel
def _run_end(text: Bytes, start: Int, stop: Int, kinds: Bytes, kind: Int) -> Int:
    """Where the characters of one kind from `start` on end; -1 - a code point not yet known."""
    at = start
    while at < stop:
        code = decode(text, at)
        if kinds[code] == NOT_LOADED:
            return -1 - code
        if kinds[code] != kind:
            break
        at += length_of(text[at])
    return at


@bare_inner_kernel
def _contraction_end(text: Bytes, start: Int, stop: Int) -> Int:
    """Where 's, 't, 're, 've, 'm, 'll or 'd ends; `start` if none begins there."""
    if text[start] != _APOSTROPHE or start + 1 >= stop:
        return start
    first = text[start + 1]
    if first in (_S, _T, _M, _D):
        return start + 2
    if start + 2 >= stop:
        return start
    second = text[start + 2]
    if (second == _E and first in (_R, _V)) or (first == _L and second == _L):
        return start + 3
    return start
