"""Scores of 64-bit counts are compared as fractions are."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from lmprep.tokenization.exact_scores import compare_scores

LARGEST = 2**63 - 1
COUNTS = st.one_of(
    st.integers(1, LARGEST),
    st.integers(1, 60),
    st.integers(1, 62).flatmap(lambda bits: st.integers(2**bits - 1, 2**bits + 1)),
)
SCORES = st.tuples(COUNTS, COUNTS, COUNTS)


@given(a=SCORES, b=SCORES)
@example(a=(LARGEST, LARGEST, LARGEST), b=(LARGEST, LARGEST, LARGEST))
@example(a=(LARGEST, LARGEST, LARGEST - 1), b=(LARGEST, LARGEST, LARGEST))
@example(a=(LARGEST - 1, LARGEST, 1), b=(LARGEST, LARGEST, 1))
def test_scores_compare_as_fractions(a, b):
    x, y = (Fraction(count, left * right) for count, left, right in (a, b))

    assert compare_scores(*a, *b) == (x > y) - (x < y)


@given(n=st.integers(2**61, LARGEST - 1), order=st.permutations((0, 1, 2)))
def test_products_that_differ_in_their_last_words_are_told_apart(n, order):
    """n * n * n against (n - 1) * n * (n + 1), which is n less."""
    below, _, above = ((n - 1, n, n + 1)[i] for i in order)
    middle = 3 * n - below - above

    assert compare_scores(n, middle, above, below, n, n) == 1
    assert compare_scores(below, n, n, n, middle, above) == -1


@given(a=SCORES, factor=st.integers(1, 2**20))
def test_equal_scores_of_different_counts_are_equal(a, factor):
    count, left, right = (value >> 21 | 1 for value in a)

    assert compare_scores(count * factor, left * factor, right, count, left, right) == 0
    assert compare_scores(count * factor + 1, left * factor, right, count, left, right) == 1
