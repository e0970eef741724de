"""What a tokenizer does to each character, asked of the library itself, a page of 256 at a time.

The scanning kernels know no Unicode: for every code point a table says which kind of character it
is for them, and what becomes of it. A page is filled when a text first shows one of its characters,
by trying each of them on the normalizer and pre-tokenizer. So the tables follow the library's
version of Unicode whatever it is. Characters that Python's own tables do not know, or that may
change places with their neighbours in normalization, are `UNSAFE`: words with them are left to the
library.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import Int, bare_inline_kernel, bare_inner_kernel

Bytes = NDArray[np.uint8]

SPACE, ISOLATED, PART, UNSAFE, LETTER, NUMBER, OTHER, NOT_LOADED = range(8)
"""Kinds. BERT's cut: a SPACE belongs to no word, ISOLATED is a word by itself, PART goes on with
a word (as its normalized text, which may be empty). GPT-2's cut: SPACE, LETTER, NUMBER, OTHER.
Chunks between spaces: PART is its own normalized text."""

PAGE = 256
_PAGES = 0x200000 // PAGE
"""More than Unicode has: whatever four bytes seem to say has a place, so that bytes that are not
UTF-8 lead to the library, which refuses them."""
LONGEST_TEXT = 15
"""Bytes that the normalized text of one character may have."""

Probe = Callable[[str], tuple[int, bytes]]
"""Kind and normalized text of a character."""


class CodePoints(NamedTuple):
    """The tables, filled as far as they have been asked for.

    Args:
        kinds: uint8 [code points], NOT_LOADED where a page has not been filled.
        texts: uint64 [2 * code points], the normalized text as a key of `word_cache`.
    """

    kinds: Bytes
    texts: NDArray[np.uint64]


class CodePointTable:
    """`CodePoints`, and how to fill them.

    Args:
        probe: tells kind and normalized text of a character; is asked once for each.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._lock = threading.Lock()
        # Zeros take memory only where they are written to.
        self.tables = CodePoints(
            kinds=np.full(_PAGES * PAGE, NOT_LOADED, np.uint8),
            texts=np.zeros(2 * _PAGES * PAGE, np.uint64),
        )
        self.load(0)

    def load(self, code: int) -> None:
        """Fill the page of a code point."""
        with self._lock:
            page = code // PAGE
            for c in range(page * PAGE, (page + 1) * PAGE):
                self._fill(c)

    def _fill(self, code: int) -> None:
        if 0xD800 <= code < 0xE000 or code >= 0x110000:
            self.tables.kinds[code] = UNSAFE
            return
        kind, text = self._probe(chr(code))
        if len(text) > LONGEST_TEXT:
            kind, text = UNSAFE, b""
        key = text.ljust(LONGEST_TEXT, b"\0") + bytes([len(text) + 1])
        self.tables.texts[2 * code : 2 * code + 2] = np.frombuffer(key, "<u8")
        self.tables.kinds[code] = kind  # last: other threads read while this one writes


@bare_inline_kernel
def length_of(lead: Int) -> Int:
    """Bytes of a UTF-8 character, from its first one."""
    return 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


@bare_inner_kernel
def decode(text: Bytes, start: Int) -> Int:
    """The code point that begins at `start`; the text is valid UTF-8."""
    lead = np.int64(text[start])
    if lead < 0x80:
        return lead
    second = np.int64(text[start + 1]) & 0x3F
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | second
    third = np.int64(text[start + 2]) & 0x3F
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | second << 6 | third
    return (lead & 0x07) << 18 | second << 12 | third << 6 | (np.int64(text[start + 3]) & 0x3F)
