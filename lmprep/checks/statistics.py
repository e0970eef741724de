"""Decisions about counts: chi-square and five standard errors, without a statistics library.

One alpha for every test, so small that a whole run over honest data raises a false alarm less than
once in 10 000 runs. A test whose expected counts are too small for its approximation says so and
decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ALPHA = 1e-6
# The normal deviate that a fair count exceeds, to either side, with probability ALPHA.
Z_LIMIT = 4.8916
# Below this expected count the chi-square law is too far off so deep in its tail.
LEAST_EXPECTED = 20

_STEPS = 100_000
_PRECISION = 1e-15


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a test found.

    Args:
        statistic: the chi-square sum, or the deviation in standard errors.
        p: probability of a deviation at least as large if the law holds.
        decided: False where there were too few counts to say anything.
    """

    statistic: float
    p: float
    decided: bool = True

    @property
    def passed(self) -> bool:
        """False only where the law would be broken this much less than once in 1/ALPHA times."""
        return not self.decided or self.p >= ALPHA


UNDECIDED = Verdict(statistic=0.0, p=1.0, decided=False)


def chi_square(
    observed: Sequence[float] | NDArray[np.generic],
    expected: Sequence[float] | NDArray[np.generic],
    *,
    scale: float = 1.0,
) -> Verdict:
    """Pearson's test of counts against the counts a law expects.

    Args:
        observed, expected: counts by class, with the same sum.
        scale: variance of a count over that of independent draws (below 1 where drawing without
            replacement makes counts more even).
    """
    found, wanted = np.asarray(observed, np.float64), np.asarray(expected, np.float64)
    if found[wanted == 0].any():
        return Verdict(statistic=math.inf, p=0.0)
    found, wanted = found[wanted > 0], wanted[wanted > 0]
    if len(wanted) < 2 or wanted.min() < LEAST_EXPECTED or scale <= 0:
        return UNDECIDED
    statistic = float(np.sum((found - wanted) ** 2 / wanted)) / scale
    return Verdict(statistic=statistic, p=chi_square_tail(statistic, len(wanted) - 1))


def scatter(
    deviation: NDArray[np.float64], covariance: NDArray[np.float64], least: float
) -> Verdict:
    """Whether sums lie as close to what a law expects as their covariance says.

    Args:
        deviation: found minus expected, [C].
        covariance: of the found under the law, [C, C]; classes that always add up to the same, or
            never vary, make it singular, which is fine.
        least: the least count expected of any class that can occur.
    """
    if not len(deviation) or least < LEAST_EXPECTED:
        return UNDECIDED
    variance, directions = np.linalg.eigh(covariance)
    apart = directions.T @ deviation
    varies = variance > 1e-9 * max(1.0, float(variance.max()))
    if np.any(np.abs(apart[~varies]) > 1e-3 * max(1.0, float(np.abs(deviation).max()))):
        return Verdict(statistic=math.inf, p=0.0)
    if not varies.any():
        return UNDECIDED
    statistic = float(np.sum(apart[varies] ** 2 / variance[varies]))
    return Verdict(statistic=statistic, p=chi_square_tail(statistic, int(varies.sum())))


def at_most_as_rare(found: int, mean: float) -> Verdict:
    """Whether so many rare accidents are no more than a Poisson law of this mean allows."""
    if found <= 0:
        return Verdict(statistic=float(found), p=1.0)
    if mean <= 0:
        return Verdict(statistic=float(found), p=0.0)
    # P(X >= found) is the lower incomplete gamma function P(found, mean).
    return Verdict(statistic=float(found), p=1.0 - chi_square_tail(2 * mean, 2 * found))


def at_least_as_many(found: int, draws: int, share: float) -> Verdict:
    """Whether a count is no smaller than so many draws would give that succeed in this share."""
    if draws * min(share, 1 - share) < LEAST_EXPECTED:
        return UNDECIDED
    z = (found - draws * share) / math.sqrt(draws * share * (1 - share))
    return Verdict(statistic=z, p=math.erfc(-z / math.sqrt(2)) / 2)


def fair_split(first: int, second: int, draws: int) -> Verdict:
    """Whether two counts differ by no more than so many fair draws between them would."""
    if draws == 0:
        return UNDECIDED
    z = (first - second) / math.sqrt(draws)
    return Verdict(statistic=z, p=math.erfc(abs(z) / math.sqrt(2)))


def chi_square_tail(x: float, degrees: int) -> float:
    """Probability that a chi-square variable with so many degrees of freedom exceeds x.

    The regularised upper incomplete gamma function Q(degrees / 2, x / 2): by the power series of
    its complement left of the mean, by its continued fraction (Lentz's method) to the right.
    """
    if degrees < 1:
        raise ValueError(f"{degrees} degrees of freedom")
    if x <= 0:
        return 1.0
    a, h = degrees / 2, x / 2
    front = math.exp(a * math.log(h) - h - math.lgamma(a))
    return 1.0 - front * _series(a, h) if h < a + 1 else front * _fraction(a, h)


def _series(a: float, h: float) -> float:
    term = total = 1 / a
    for n in range(1, _STEPS):
        term *= h / (a + n)
        total += term
        if term < total * _PRECISION:
            break
    return total


def _fraction(a: float, h: float) -> float:
    tiny = 1e-300
    b = h + 1 - a
    c, d = 1 / tiny, 1 / b
    value = d
    for n in range(1, _STEPS):
        numerator = -n * (n - a)
        b += 2
        d = 1 / (numerator * d + b or tiny)
        c = b + numerator / c or tiny
        value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value
