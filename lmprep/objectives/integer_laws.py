"""Laws of small whole numbers as tables of integers, drawn from without floating point."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import inline_kernel
from lmprep.keyed_random import integer_below

Law = NDArray[np.int64]
"""int64 [M], never falling: of law[-1] equally likely integers, those below law[0] mean the number
1, those from law[0] to below law[1] mean 2, and so on."""

_MOST = 1 << 32  # `integer_below` takes less
_FINE = 1 << 31


def law_of(weights: Sequence[Fraction]) -> Law:
    """The law under which number i + 1 has a probability in proportion to weights[i].

    Exact where the weights as whole numbers sum to less than 2**32; else each cumulative
    probability is rounded to a multiple of 2**-31.

        law_of([1, 1/2, 1/3])  ->  [6, 9, 11]
    """
    common = math.lcm(*(weight.denominator for weight in weights))
    whole = [int(weight * common) for weight in weights]
    divisor = math.gcd(*whole)
    running = list(itertools.accumulate(weight // divisor for weight in whole))
    total = running[-1]
    if total >= _MOST:
        running = [round(Fraction(upto, total) * _FINE) for upto in running]
    return np.array(running, np.int64)


@cache
def reciprocal_law(largest: int) -> Law:
    """P(n) in proportion to 1/n, n = 1 to `largest`: 6/11, 3/11, 2/11 for 3."""
    return law_of([Fraction(1, n) for n in range(1, largest + 1)])


@cache
def geometric_law(p: Fraction, largest: int) -> Law:
    """P(n) in proportion to p (1 - p)^(n - 1), n = 1 to `largest`: cut off and renormalised."""
    return law_of([p * (1 - p) ** (n - 1) for n in range(1, largest + 1)])


@inline_kernel
def number_from(law: Law, key: np.uint64, counter: int) -> int:
    """A number under the law, from 1."""
    value = integer_below(law[-1], key, counter)
    number = 1
    while value >= law[number - 1]:
        number += 1
    return number
