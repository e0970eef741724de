"""Whitespace in UTF-8: of ASCII, and all that has the property White_Space in Unicode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_inner_kernel, inline_kernel

ASCII_SPACE = " \t\n\r\x0b\x0c"
"""What `bytes.strip` takes away, and what is counted as empty in files."""


@inline_kernel
def is_ascii_space(byte: int) -> bool:
    """Space, and tab to carriage return: `ASCII_SPACE`."""
    return byte == 32 or 9 <= byte <= 13


@inline_kernel
def _is_space_of_two(first: int, second: int) -> bool:
    """U+0085 and U+00A0."""
    return first == 0xC2 and (second == 0x85 or second == 0xA0)


@inline_kernel
def _is_space_of_three(first: int, second: int, third: int) -> bool:
    """U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000."""
    if first == 0xE2 and second == 0x80:
        return third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF
    if first == 0xE2:
        return second == 0x81 and third == 0x9F
    if first == 0xE1:
        return second == 0x9A and third == 0x80
    return first == 0xE3 and second == 0x80 and third == 0x80


@bare_inner_kernel
def after_spaces(text: NDArray[np.uint8], start: int, stop: int) -> int:
    """The first place from `start` on where no whitespace begins, `stop` at most."""
    while start < stop:
        if is_ascii_space(text[start]):
            start += 1
        elif stop - start >= 2 and _is_space_of_two(text[start], text[start + 1]):
            start += 2
        elif stop - start >= 3 and _is_space_of_three(
            text[start], text[start + 1], text[start + 2]
        ):
            start += 3
        else:
            break
    return start


@bare_inner_kernel
def before_spaces(text: NDArray[np.uint8], start: int, stop: int) -> int:
    """The last place up to `stop` where no whitespace ends, `start` at least."""
    while start < stop:
        if is_ascii_space(text[stop - 1]):
            stop -= 1
        elif stop - start >= 2 and _is_space_of_two(text[stop - 2], text[stop - 1]):
            stop -= 2
        elif stop - start >= 3 and _is_space_of_three(
            text[stop - 3], text[stop - 2], text[stop - 1]
        ):
            stop -= 3
        else:
            break
    return stop
