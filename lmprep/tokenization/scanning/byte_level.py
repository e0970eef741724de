"""The scan of GPT-2's pipelines: text cut as by its regular expression, bytes as they are.

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+

Every character is in a word. What a character is (letter, number, whitespace, other) is asked of
the library, see `code_points`; a space and ASCII letters take eight bytes at a time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import Int, bare_inline_kernel, bare_kernel
from lmprep.tokenization.scanning.bits import (
    bytes_before,
    first_byte,
    load8,
    low_bytes,
    not_letter,
    peek,
)
from lmprep.tokenization.scanning.code_points import (
    NOT_LOADED,
    OTHER,
    SPACE,
    CodePoints,
    decode,
    length_of,
)
from lmprep.tokenization.scanning.words import (
    BATCH,
    CODE,
    DONE,
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
_FIRST_MARK = np.uint64(0x80)


@bare_kernel
def cut_byte_level(
    text: Bytes, offsets: Int64s, gap: Int, points: CodePoints, batch: Batch, state: Int64s
) -> Int:
    """As `bert.cut_bert`."""
    kinds, words = points.kinds, batch.words
    count, place = state[WORDS], state[PLACE]
    while state[SENTENCE] < len(offsets) - 1:
        stop = offsets[state[SENTENCE] + 1] - gap
        while place < stop:
            if count == BATCH:
                return suspend(words, count, place, DONE, state)
            low, high, length = _letters(text, place, stop)
            if length > 0:
                add_key(words, count, low, high, place)
                count += 1
                place += length
                continue
            end = _sign_end(text, place, stop, kinds)
            if end < 0:
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
        place = close_sentence(batch, offsets, count, state)
    return suspend(words, count, place, DONE, state)


@bare_inline_kernel
def _letters(text: Bytes, start: Int, stop: Int) -> tuple[np.uint64, np.uint64, Int]:
    """The word of an optional space and ASCII letters at `start`, up to 15 bytes with what ends it:
    its key, and its length; 0 if it is another kind of word, or longer."""
    low, high = load8(text, start), np.uint64(0)
    blank = np.int64(low & np.uint64(0xFF) == _BLANK)
    marks = not_letter(low)
    if blank:
        marks &= ~_FIRST_MARK
    length = np.int64(8)
    if marks:
        length = first_byte(marks)
        after = low >> np.uint64(8 * length)
        low = bytes_before(low, marks)
    else:
        high = load8(text, start + 8)
        marks = not_letter(high)
        if not marks:
            return low, high, np.int64(0)
        length += first_byte(marks)
        after = high >> np.uint64(8 * (length - 8))
        high = bytes_before(high, marks)
    if start + length >= stop:
        length = stop - start
        low = low_bytes(low, min(length, 8))
        high = low_bytes(high, max(length - 8, 0))
    elif after & _FIRST_MARK:  # perhaps a letter too
        length = np.int64(0)
    if length <= blank:
        length = np.int64(0)
    low, high = marked_key(low, high, length)
    return low, high, length


@bare_inline_kernel
def _sign_end(text: Bytes, start: Int, stop: Int, kinds: Bytes) -> Int:
    """Where a word of an optional space and one ASCII sign ends; -1 if it is not just that."""
    first = start + np.int64(peek(text, start) == _BLANK)
    if first + 1 >= stop:
        return -1
    sign, after = peek(text, first), peek(text, first + 1)
    if sign >= 0x80 or after >= 0x80 or peek(kinds, sign) != OTHER or peek(kinds, after) == OTHER:
        return -1
    # An apostrophe may begin a contraction, though not behind a space.
    return first + 1 if sign != _APOSTROPHE or first > start else -1


@bare_kernel
def _word_end(text: Bytes, start: Int, stop: Int, kinds: Bytes) -> Int:
    """Where the word that begins at `start` ends; -1 - a code point on a missing page."""
    end = _contraction_end(text, start, stop)
    if end > start:
        return end
    first = start + 1 if text[start] == _BLANK else start
    if first < stop:
        code = decode(text, first)
        if kinds[code] != SPACE:
            return _run_end(text, first, stop, kinds, kinds[code])
    end = _run_end(text, start, stop, kinds, SPACE)
    if end < 0 or end == stop:
        return end
    # The last character of whitespace before a word is left for it, unless it is all there is.
    last = end - 1
    while text[last] & 0xC0 == 0x80:
        last -= 1
    return last if last > start else end


@bare_kernel
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


@bare_kernel
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
