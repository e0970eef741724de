"""Characters of UTF-8 text."""

from __future__ import annotations

from lmprep.jit import inline_kernel
from lmprep.tokenization.pieces.arrays import Bytes


@inline_kernel
def character_end(text: Bytes, start: int, stop: int) -> int:
    """Where the character that begins at `start` ends: `stop` at the latest, if it is cut off."""
    lead = text[start]
    end = start + 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)
    return stop if end > stop else end
