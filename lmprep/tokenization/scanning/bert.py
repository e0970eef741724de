"""The scan of BERT's pipelines: text cut at whitespace and around punctuation.

Words of ASCII letters and digits take eight bytes at a time; everything else goes character by
character through the tables of `code_points`, which also lower-case it and strip its accents.
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
    not_alphanumeric,
    peek,
)
from lmprep.tokenization.scanning.code_points import (
    ISOLATED,
    NOT_LOADED,
    PART,
    SPACE,
    UNSAFE,
    CodePoints,
    decode,
    length_of,
)
from lmprep.tokenization.scanning.words import (
    BATCH,
    CODE,
    DONE,
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

_BLANK = 0x20
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
    kinds, texts, words = points.kinds, points.texts, batch.words
    case = _CASE if texts[2 * 0x41] == 0x61 else np.uint64(0)
    count, place = state[WORDS], state[PLACE]
    while state[SENTENCE] < len(offsets) - 1:
        stop = offsets[state[SENTENCE] + 1] - gap
        while place < stop:
            if count == BATCH:
                return suspend(words, count, place, DONE, state)
            low, high, length = _alphanumeric(text, place, stop, case)
            if length > 0:
                end = place + length
                if length <= LONGEST_KEY and _ends_word(kinds, text, end, stop):
                    add_key(words, count, low, high, place)
                    count += 1
                    place = end + np.int64(end < stop and peek(text, end) == _BLANK)
                    continue
            else:
                code = _code_at(text, place)
                kind = peek(kinds, code)
                if kind == SPACE:
                    place += length_of(peek(text, place))
                    continue
                if kind == ISOLATED:
                    add_key(words, count, peek(texts, 2 * code), peek(texts, 2 * code + 1), place)
                    count += 1
                    place += length_of(peek(text, place))
                    continue
            added, place = _add_slow_word(text, place, stop, points, batch, count, state)
            if added < 0:
                return suspend(words, count, place, added, state)
            count += added
        place = close_sentence(batch, offsets, count, state)
    return suspend(words, count, place, DONE, state)


@bare_inline_kernel
def _alphanumeric(
    text: Bytes, start: Int, stop: Int, case: np.uint64
) -> tuple[np.uint64, np.uint64, Int]:
    """The ASCII letters and digits from `start` on, 16 at most: their key, and how many."""
    low, high = load8(text, start), np.uint64(0)
    marks = not_alphanumeric(low)
    low |= case
    length = 8
    if marks:
        low = bytes_before(low, marks)
        length = first_byte(marks)
    else:
        high = load8(text, start + 8)
        marks = not_alphanumeric(high)
        length += first_byte(marks)
        high = bytes_before(high | case, marks) if marks else high | case
    if length > stop - start:
        length = stop - start
        low = low_bytes(low, min(length, 8))
        high = low_bytes(high, max(length - 8, 0))
    low, high = marked_key(low, high, length)
    return low, high, length


@bare_inline_kernel
def _ends_word(kinds: Bytes, text: Bytes, place: Int, stop: Int) -> bool:
    """Whether the sentence ends at `place`, or a character that is known to end a word begins."""
    if place >= stop or peek(text, place) == _BLANK:
        return True
    return bool(peek(kinds, _code_at(text, place)) <= ISOLATED)


@bare_inline_kernel
def _code_at(text: Bytes, place: Int) -> Int:
    """As `decode`, quick for ASCII."""
    code = np.int64(peek(text, place))
    return code if code < 0x80 else decode(text, place)


@bare_kernel
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
