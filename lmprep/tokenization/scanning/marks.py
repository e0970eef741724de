"""Where ASCII words begin, found for 64 bytes of text at a time.

A cut that looks for the end of each word before it can go on with the next makes the processor wait
twenty cycles a word. So a region of text is marked first, without a branch: a list of where words
begin, and bits, one a byte, for where they end and for what takes a closer look. Nothing about a
word then hangs on the word before it, and the processor works on several at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import Int, bare_inline_kernel, bare_inner_kernel
from lmprep.tokenization.scanning.bits import (
    classes,
    ones,
    peek,
    peek8,
    poke,
    store,
    trailing_zeros,
)

Bytes = NDArray[np.uint8]
Int64s = NDArray[np.int64]

_BLOCK = 64
_BLOCKS = 64
REGION = _BLOCK * _BLOCKS
"""Bytes of a region: its text and its marks stay in the processor's first cache."""
_AT_ONCE = 16
"""Words of a block that are listed without asking how many there are: most have fewer."""
_READ = 16
"""Bytes that a cut may read from where a word begins on."""
_ONE, _TOP = np.uint64(1), np.uint64(63)


class Marks(NamedTuple):
    """Of a region of text.

    Args:
        starts: int64, where words begin in the text.
        breaks: uint8, a bit for each byte, the lowest for the first: BERT's, all but letters and
            digits that follow another one.
        others: uint8, a bit for each byte: characters whose words, and the words before them, take
            a closer look.
    """

    starts: Int64s
    breaks: Bytes
    others: Bytes


def new_marks() -> Marks:
    return Marks(
        starts=np.zeros(REGION + _BLOCK, np.int64),
        breaks=np.zeros(REGION // 8 + 8, np.uint8),
        others=np.zeros(REGION // 8 + 8, np.uint8),
    )


@bare_inner_kernel
def mark_byte_level(text: Bytes, start: Int, marks: Marks) -> Int:
    """Mark words of letters, digits or signs, each with the space before it. A newline that does
    not follow a space takes no closer look: it ends a word like a space.

    Args:
        text: UTF-8.
        start: where a word begins; its own start is not listed.
        marks: out.

    Returns:
        How many starts were found; none near the end of the text.
    """
    at, found, own = start, np.int64(0), _ONE
    letters_before = digits_before = blanks_before = signs_before = np.uint64(0)
    for block in range(_BLOCKS):
        if at + _BLOCK + _READ > len(text):
            break
        letters, digits, signs, blanks, newlines = classes(text, at)
        turns = (
            (letters ^ ((letters << _ONE) | (letters_before >> _TOP)))
            | (digits ^ ((digits << _ONE) | (digits_before >> _TOP)))
            | (signs ^ ((signs << _ONE) | (signs_before >> _TOP)))
        )
        behind_blank = (blanks << _ONE) | (blanks_before >> _TOP)
        known = letters | digits | signs | blanks | (newlines & ~behind_blank)
        store(marks.others, 8 * block, ~known)
        found = _list(marks.starts, found, at, (blanks | (turns & ~behind_blank)) & ~own)
        own = np.uint64(0)
        letters_before, digits_before = letters, digits
        blanks_before, signs_before = blanks, signs
        at += _BLOCK
    return found


@bare_inner_kernel
def mark_bert(text: Bytes, start: Int, marks: Marks) -> Int:
    """Mark words of letters and digits, and every other character but spaces by itself. Spaces and
    newlines, which are in no word, take no closer look.

    Args and returns: as `mark_byte_level`.
    """
    at, found, own = start, np.int64(0), _ONE
    before = np.uint64(0)
    for block in range(_BLOCKS):
        if at + _BLOCK + _READ > len(text):
            break
        letters, digits, signs, blanks, newlines = classes(text, at)
        parts = letters | digits
        breaks = ~(parts & ((parts << _ONE) | (before >> _TOP)))
        store(marks.breaks, 8 * block, breaks)
        store(marks.others, 8 * block, ~(parts | signs | blanks | newlines))
        found = _list(marks.starts, found, at, breaks & ~blanks & ~own)
        own = np.uint64(0)
        before = parts
        at += _BLOCK
    return found


@bare_inline_kernel
def _list(starts: Int64s, found: Int, at: Int, begins: np.uint64) -> Int:
    """List the set bits of the block at `at` behind `found` others; returns how many are listed."""
    until = found + ones(begins)
    for i in range(_AT_ONCE):
        poke(starts, found + i, at + trailing_zeros(begins))
        begins &= begins - _ONE
    found += _AT_ONCE
    while found < until:
        poke(starts, found, at + trailing_zeros(begins))
        begins &= begins - _ONE
        found += 1
    return until


@bare_inline_kernel
def bits_from(bits: Bytes, place: Int) -> np.uint64:
    """The bits from a place in the region on, for 56 bytes or more."""
    return np.uint64(peek8(bits, place >> 3)) >> np.uint64(place & 7)


@bare_inline_kernel
def first_behind(marks: Marks, found: Int, at: Int, place: Int) -> Int:
    """Which of the `found` starts is the first behind a place in the text; `at` is near it."""
    starts = marks.starts
    while at > 0 and peek(starts, at - 1) > place:
        at -= 1
    while at < found and peek(starts, at) <= place:
        at += 1
    return at
