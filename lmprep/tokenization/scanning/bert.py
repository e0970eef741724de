"""The scan of BERT's pipelines: text cut at whitespace and around punctuation.

Words of ASCII letters and digits are found by their `marks`; everything else goes character by
character through the tables of `code_points`, which also lower-case it and strip its accents.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import Int, bare_inline_kernel, bare_inner_kernel, bare_kernel
from lmprep.tokenization.scanning.bits import peek, peek8, trailing_zeros
from lmprep.tokenization.scanning.code_points import (
    ISOLATED,
    NOT_LOADED,
    PART,
    UNSAFE,
    CodePoints,
    decode,
    length_of,
)
from lmprep.tokenization.scanning.marks import REGION, bits_from, first_behind, mark_bert
from lmprep.tokenization.scanning.words import (
    BATCH,
    CODE,
    DONE,
    KEY_MASKS,
    LETTERS,
    LETTERS_FULL,
    LONGEST_KEY,
    PAGE_MISSING,
    PLACE,
    SENTENCE,
    WORDS,
    Batch,
    add_key,
    add_letters,
    add_unsafe,
    close_sentence,
    key_length,
    marked_key,
    suspend,
    write_key,
)

Bytes = NDArray[np.uint8]
Int64s = NDArray[np.int64]

_BYTE = np.uint64(0xFF)
_BLANK = 0x20
# All bits for ASCII letters and digits, none for other bytes.
_IN_WORDS = np.array([-int(chr(b).isascii() and chr(b).isalnum()) for b in range(256)])
_IN_WORDS = _IN_WORDS.astype(np.uint64)
_CASE = np.uint64(0x2020202020202020)


@bare_kernel
def cut_bert(
    text: Bytes, offsets: Int64s, gap: Int, points: CodePoints, batch: Batch, state: Int64s
) -> Int:
    """Cut text into words from where `state` stands, until the batch is full or the text ends.

    Args:
        text: UTF-8.
        offsets: int64 [S + 1], where sentences begin; each ends `gap` bytes before the next.
        gap: bytes between sentences, 0 or 1.
        points: kinds and normalized texts of characters.
        batch: where the words go.
        state: int64 [STATE_FIELDS].

    Returns:
        DONE, or why it stopped, see `words`; `state` has the number of words, and behind the last
        of them stands in the batch where the next begins.
    """
    kinds, texts, words, marks = points.kinds, points.texts, batch.words, batch.marks
    case = _CASE if texts[2 * 0x41] == 0x61 else np.uint64(0)
    count, place = state[WORDS], state[PLACE]
    marked, at, found, next_marked = place, np.int64(0), np.int64(0), place
    while state[SENTENCE] < len(offsets) - 1:
        stop = offsets[state[SENTENCE] + 1] - gap
        while place < stop:
            if count == BATCH:
                return suspend(words, count, place, DONE, state)
            if at >= found and place >= next_marked:
                marked, at, found = place, np.int64(0), mark_bert(text, place, marks)
                next_marked = place if found else place + REGION
            if at < found:
                breaks = bits_from(marks.breaks, place - marked)
                others = bits_from(marks.others, place - marked)
                length = 1 + trailing_zeros(breaks >> np.uint64(1))
                length = length if length < stop - place else stop - place
                low, high, is_word = _ascii_key(text, place, length, case, others)
                if is_word:
                    add_key(words, count, low, high, place)
                    count += 1
                    place = peek(marks.starts, at)
                    at += 1
                    continue
            code = _code_at(text, place)
            kind = peek(kinds, code)
            if kind <= ISOLATED:
                if kind == ISOLATED:
                    add_key(words, count, peek(texts, 2 * code), peek(texts, 2 * code + 1), place)
                    count += 1
                place += length_of(peek(text, place))
                at = first_behind(marks, found, at, place)
                continue
            added, place = _add_slow_word(text, place, stop, points, batch, count, state)
            if added < 0:
                return suspend(words, count, place, added, state)
            count += added
            at = first_behind(marks, found, at, place)
        place = close_sentence(batch, offsets, count, state)
        at = first_behind(marks, found, at, place)
    return suspend(words, count, place, DONE, state)


@bare_inline_kernel
def _ascii_key(
    text: Bytes, place: Int, length: Int, case: np.uint64, others: np.uint64
) -> tuple[np.uint64, np.uint64, bool]:
    """The key of a word of ASCII letters and digits, or of one other visible character; and whether
    it is one: not if it is longer than a key, or the next character may belong to it.

    Args:
        case: what makes letters small, or nothing.
        others: bits of the characters from `place` on that take a closer look.
    """
    low, high = np.uint64(peek8(text, place)), np.uint64(peek8(text, place + 8))
    first = np.int64(low & _BYTE)
    kept = length if length < LONGEST_KEY else np.int64(LONGEST_KEY)
    with_next = (np.uint64(2) << np.uint64(kept)) - np.uint64(1)
    is_word = (others & with_next == 0) & (length <= LONGEST_KEY) & (first > _BLANK)
    case &= peek(_IN_WORDS, first)
    low = (low | case) & peek(KEY_MASKS, 2 * kept)
    high = (high | case) & peek(KEY_MASKS, 2 * kept + 1)
    low, high = marked_key(low, high, kept)
    return low, high, is_word


@bare_inline_kernel
def _code_at(text: Bytes, place: Int) -> Int:
    """As `decode`, quick for ASCII."""
    code = np.int64(peek(text, place))
    return code if code < 0x80 else decode(text, place)


@bare_inner_kernel
def _add_slow_word(
    text: Bytes,
    start: Int,
    stop: Int,
    points: CodePoints,
    batch: Batch,
    count: Int,
    state: Int64s,
) -> tuple[Int, Int]:
    """Normalize the word at `start` character by character, and put it into the batch.

    Returns:
        Words added: none if it was only of characters that are deleted; or a reason. And where to
        go on.
    """
    begin = state[LETTERS]
    length = np.int64(0)
    place, is_safe = start, True
    while place < stop:
        code = decode(text, place)
        kind = points.kinds[code]
        if kind == NOT_LOADED:
            state[CODE] = code
            return PAGE_MISSING, start
        if kind == UNSAFE:
            is_safe = False
        elif kind != PART:
            break
        elif begin + length + 2 * LONGEST_KEY > len(batch.letters):
            return LETTERS_FULL, start
        else:
            length = _append(points, code, batch.letters, begin + length) - begin
        place += length_of(text[place])
    if not is_safe:
        add_unsafe(batch.words, count, start)
        return 1, place
    if length == 0:
        return 0, place
    state[LETTERS] = add_letters(batch, count, begin, begin + length, start)
    return 1, place


@bare_inline_kernel
def _append(points: CodePoints, code: Int, word: Bytes, length: Int) -> Int:
    """Write the normalized text of a character; returns the length of the word with it."""
    low, high = points.texts[2 * code], points.texts[2 * code + 1]
    write_key(low, high, word, length)
    return length + key_length(high)
