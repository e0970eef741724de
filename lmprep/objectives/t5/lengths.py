"""How many tokens: of noise, of spans, and of raw text whose inputs fill a length.

T5 (arXiv:1910.10683), section 3.1.4: noise takes round(density * n) of n raw tokens in
round(noise / mean_span_length) spans; every rounding is exact, half to even. T5's code rounds the
first in 64 bits for lengths and in 32 for masks, which differ at n = 190.

    inputs of 512, density 0.15, mean 3    ->    568 raw tokens, 85 noise, 28 spans, targets 114
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lmprep.objectives.counting import rounded_share

LONGEST_ROW = 65_536
"""Raw tokens in a row at most: T5's code cuts documents into chunks of as many, and positions
below it fit 16 bits. Lengths up to 55,000 do not reach it at density 0.15."""

Sizes = Callable[[int], tuple[int, int]]
"""How many tokens inputs and labels have at most for a row of so many raw tokens."""


def noise_counts(lengths: NDArray[np.int64], density: Fraction) -> NDArray[np.int64]:
    """Noise tokens in rows of these lengths: round(density * n), from 1 to n - 1; int64 [N].

    A row of one token is all noise.
    """
    most = np.maximum(lengths - 1, np.minimum(lengths, 1))
    counts: NDArray[np.int64] = np.minimum(np.maximum(1, rounded_share(lengths, density)), most)
    return counts


def span_counts(
    noise: NDArray[np.int64], rest: NDArray[np.int64], mean_span_length: int
) -> NDArray[np.int64]:
    """Spans of `noise` tokens among `rest` others: round(noise / mean_span_length); int64 [N].

    At least one, but no more than there are noise tokens, and others to part them.
    """
    most = np.maximum(np.minimum(noise, rest), np.minimum(noise, 1))
    spans = np.maximum(1, rounded_share(noise, Fraction(1, mean_span_length)))
    counts: NDArray[np.int64] = np.minimum(spans, most)
    return counts


def longest_row(sizes: Sizes, length: int, density: Fraction = Fraction(0)) -> int:
    """The most raw tokens whose inputs fit `length`, and at densities up to 1/2 labels as well.

    Below 1/2 the labels are the shorter side. At 1/2 rounding may make them one longer: T5's code
    then takes one token less, too. Above, they are the longer side, as whoever asked for it wants.

    Raises:
        ValueError: not even two tokens fit.
    """

    def too_long(tokens: int) -> bool:
        inputs, labels = sizes(tokens)
        return inputs > length or (2 * density <= 1 and labels > length)

    longest = bisect_left(range(1, LONGEST_ROW + 1), True, key=too_long)
    if longest < 2:
        raise ValueError(
            f"length {length} has no room for two tokens; "
            f"length {max(sizes(2))} would have, length 512 is T5's"
        )
    return longest
