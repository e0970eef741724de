"""Compare scores count / (left * right) of 64-bit integers exactly.

a / (b c) > d / (e f) where a e f > d b c, and a product of three positive 64-bit integers has up to
189 bits: three words of 64.
"""

from __future__ import annotations

import numpy as np

from lmprep.jit import bare_inline_kernel, bare_inner_kernel, bare_kernel

_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@bare_kernel
def compare_scores(
    count_a: int, left_a: int, right_a: int, count_b: int, left_b: int, right_b: int
) -> int:
    """1 where count_a / (left_a * right_a) is the larger, -1 where the smaller, 0 where equal.

    All are integers from 1 to 2**63 - 1.
    """
    high_a, middle_a, low_a = _product(count_a, left_b, right_b)
    high_b, middle_b, low_b = _product(count_b, left_a, right_a)
    if high_a != high_b:
        return 1 if high_a > high_b else -1
    if middle_a != middle_b:
        return 1 if middle_a > middle_b else -1
    if low_a != low_b:
        return 1 if low_a > low_b else -1
    return 0


@bare_inner_kernel
def _product(a: int, b: int, c: int) -> tuple[np.uint64, np.uint64, np.uint64]:
    """The product as three words, the highest first."""
    high, low = _double_product(np.uint64(a), np.uint64(b))
    carried, lowest = _double_product(low, np.uint64(c))
    highest, middle = _double_product(high, np.uint64(c))
    middle += carried
    if middle < carried:
        highest += np.uint64(1)
    return highest, middle, lowest


@bare_inline_kernel
def _double_product(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The product as two words, the higher first: by halves, as on paper."""
    a_high, a_low = a >> _HALF, a & _LOW
    b_high, b_low = b >> _HALF, b & _LOW
    low = a_low * b_low
    cross_a, cross_b = a_high * b_low, a_low * b_high
    middle = (low >> _HALF) + (cross_a & _LOW) + (cross_b & _LOW)
    high = a_high * b_high + (cross_a >> _HALF) + (cross_b >> _HALF) + (middle >> _HALF)
    return high, (middle << _HALF) | (low & _LOW)
