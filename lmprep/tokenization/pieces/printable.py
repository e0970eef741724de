"""GPT-2's printable characters, which stand for bytes in the pieces of byte-level BPE."""

from __future__ import annotations

import numpy as np

_AS_THEMSELVES = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_OTHERS = [byte for byte in range(256) if byte not in _AS_THEMSELVES]

PRINTABLE = [
    chr(byte if byte in _AS_THEMSELVES else 256 + _OTHERS.index(byte)) for byte in range(256)
]
"""The character of each byte: those that Latin-1 prints are themselves."""

PRINTABLE_UTF8 = np.frombuffer(
    b"".join(character.encode().ljust(2, b"\0") for character in PRINTABLE), np.uint8
).reshape(256, 2)
"""The same as UTF-8, uint8 [256, 2]; the second place is 0 where one byte is enough."""
