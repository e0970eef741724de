"""How many tokens a row predicts: exact numbers from exact rates, all in integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


def rounded_share(lengths: NDArray[np.int64], rate: Fraction) -> NDArray[np.int64]:
    """rate * length, rounded half to even: int64 [N]. 10 tokens at 0.15 are 2, 30 are 4."""
    quotient, rest = np.divmod(lengths * rate.numerator, rate.denominator)
    twice = 2 * rest
    up = (twice > rate.denominator) | ((twice == rate.denominator) & (quotient % 2 == 1))
    rounded: NDArray[np.int64] = quotient + up
    return rounded


def wanted_predictions(offsets: NDArray[np.int64], rate: Fraction) -> NDArray[np.int64]:
    """How many tokens rows with these offsets (int64 [N + 1]) are to predict: int64 [N].

    max(1, round_half_even(rate * length)), special tokens counted in the length, as in BERT's
    code: 19 of 128, 77 of 512. A row of fewer maskable tokens predicts those.
    """
    wanted: NDArray[np.int64] = np.maximum(1, rounded_share(np.diff(offsets), rate))
    return wanted
