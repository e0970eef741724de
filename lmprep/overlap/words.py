"""Words of a text as hashes, so that corpora of other case, punctuation or layout compare equal.

A word is a run of letters, digits and marks; ASCII letters count as lower case. A Chinese
character or a Japanese kana is a word by itself, since such text has no spaces. All else parts
words: whitespace, ASCII punctuation, that of Latin-1, of the blocks General Punctuation and CJK
Symbols and Punctuation, and the full-width forms of ASCII's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel, inline_kernel
from lmprep.keyed_random import mix
from lmprep.ragged import Ragged

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_PART, _WHOLE = 1, 2


def words_of(text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Ragged:
    """The words of each document.

    Args:
        text: uint8 [B], valid UTF-8.
        offsets: int64 [D + 1], documents in it.

    Returns:
        A row of hashes for each document: uint64, never 0 (FNV-1a of 64 bits, then `mix`).
    """
    words = np.empty(len(text), np.uint64)
    ends = np.zeros(len(offsets), np.int64)
    count = _hash_words(text, offsets, words, ends)
    return Ragged(words[:count], ends)


@inline_kernel
def _kind(code: int) -> int:
    """0 what parts words, `_PART` a character in a word, `_WHOLE` one that is a word."""
    if code < 0x80:
        letter = 97 <= (code | 32) <= 122
        return _PART if letter or 48 <= code <= 57 else 0
    if code < 0xC0 or 0x2000 <= code < 0x2070 or 0x3000 <= code < 0x3040:
        return 0
    if 0xFF01 <= code <= 0xFF65:
        letter = 0xFF21 <= code <= 0xFF3A or 0xFF41 <= code <= 0xFF5A
        return _PART if letter or 0xFF10 <= code <= 0xFF19 else 0
    if 0x3040 <= code < 0x3100 or 0x3400 <= code < 0x4DC0 or 0x4E00 <= code < 0xA000:
        return _WHOLE
    return _WHOLE if 0xF900 <= code < 0xFB00 or 0x20000 <= code < 0x40000 else _PART


@bare_kernel
def _hash_words(
    text: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    words: NDArray[np.uint64],
    ends: NDArray[np.int64],
) -> int:
    """Fill `words` and the offsets `ends` of documents in it; return the number of words."""
    count = 0
    for document in range(len(offsets) - 1):
        i, stop = offsets[document], offsets[document + 1]
        key, inside = _FNV_OFFSET, False
        while i < stop:
            byte = text[i]
            size = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            code = int(byte)
            if size > 1:
                code &= 0x7F >> size
                for j in range(1, size):
                    code = code << 6 | (text[i + j] & 0x3F)
            kind = _kind(code)
            if inside and kind != _PART:
                words[count] = max(mix(key), np.uint64(1))
                count += 1
                key, inside = _FNV_OFFSET, False
            if kind != 0:
                if size == 1 and code >= 65:
                    byte |= 32
                key = np.uint64((key ^ np.uint64(byte)) * _FNV_PRIME)
                for j in range(1, size):
                    key = np.uint64((key ^ np.uint64(text[i + j])) * _FNV_PRIME)
                inside = True
                if kind == _WHOLE:
                    words[count] = max(mix(key), np.uint64(1))
                    count += 1
                    key, inside = _FNV_OFFSET, False
            i += size
        if inside:
            words[count] = max(mix(key), np.uint64(1))
            count += 1
        ends[document + 1] = count
    return count
