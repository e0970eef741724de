"""Co-occurrence counts as a dictionary, from every pair of places: slow and obvious."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction


def slow_pair_counts(rows: Sequence[Sequence[int]], window: int) -> dict[tuple[int, int], Fraction]:
    """1/d for every two places of a row d apart, both ways round."""
    counts: Counter[tuple[int, int]] = Counter()
    for row in rows:
        for j, second in enumerate(row):
            for i, first in enumerate(row[:j]):
                if j - i <= window:
                    counts[first, second] += Fraction(1, j - i)
                    counts[second, first] += Fraction(1, j - i)
    return counts
