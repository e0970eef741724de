"""The scan of text that is cut at spaces alone, for Metaspace and for whatever the library does.

A chunk is looked up by its bytes as they are; only one that is new is looked into. Characters of
kind SPACE stand between chunks, or, for Metaspace, begin one and belong to it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import Int, bare_inline_kernel, bare_kernel
from lmprep.tokenization.scanning.bits import first_byte, load8, not_above_space, peek
from lmprep.tokenization.scanning.code_points import SPACE, CodePoints
from lmprep.tokenization.scanning.words import (
    BATCH,
    DONE,
    LETTERS_FULL,
    LONGEST_KEY,
    PLACE,
    SENTENCE,
    WORDS,
    Batch,
    add_key,
    add_long,
    close_sentence,
    key_of,
    suspend,
)

Bytes = NDArray[np.uint8]
Int64s = NDArray[np.int64]


@bare_kernel
def cut_between_spaces(
    text: Bytes, offsets: Int64s, gap: Int, points: CodePoints, batch: Batch, state: Int64s
) -> Int:
    """As `bert.cut_bert`: spaces are in no chunk."""
    return _cut(text, offsets, gap, points, False, batch, state)


@bare_kernel
def cut_before_spaces(
    text: Bytes, offsets: Int64s, gap: Int, points: CodePoints, batch: Batch, state: Int64s
) -> Int:
    """As `bert.cut_bert`: a space begins a chunk."""
    return _cut(text, offsets, gap, points, True, batch, state)


@bare_inline_kernel
def _cut(
    text: Bytes,
    offsets: Int64s,
    gap: Int,
    points: CodePoints,
    keeps_spaces: bool,
    batch: Batch,
    state: Int64s,
) -> Int:
    kinds, words = points.kinds, batch.words
    count, place = state[WORDS], state[PLACE]
    outcome: Int = np.int64(DONE)
    while state[SENTENCE] < len(offsets) - 1 and count < BATCH and outcome == DONE:
        stop = offsets[state[SENTENCE] + 1] - gap
        while place < stop and count < BATCH:
            if not keeps_spaces and peek(kinds, np.int64(peek(text, place))) == SPACE:
                place += 1
                continue
            end = _chunk_end(text, place, stop, kinds)
            if end - place <= LONGEST_KEY:
                low, high = key_of(text, place, end - place)
                add_key(words, count, low, high, place)
            elif not add_long(batch, count, text, place, end, state):
                outcome = LETTERS_FULL
                break
            count += 1
            place = end
        if place >= stop:
            place = close_sentence(batch, offsets, count, state)
    return suspend(words, count, place, outcome, state)


@bare_inline_kernel
def _chunk_end(text: Bytes, start: Int, stop: Int, kinds: Bytes) -> Int:
    """Where the chunk that begins at `start` ends: before the next character of kind SPACE."""
    at = start + 1
    while at < stop:
        length = first_byte(not_above_space(load8(text, at)))
        at += length
        if length < 8:
            if at >= stop or kinds[peek(text, at)] == SPACE:
                break
            at += 1
    return at if at < stop else stop
