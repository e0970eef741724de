"""Laws of span and n-gram lengths as integer tables."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_masked import cumulative, geometric, reciprocals

from lmprep.jit import kernel
from lmprep.keyed_random import key_for
from lmprep.objectives.integer_laws import geometric_law, law_of, number_from, reciprocal_law


@kernel
def numbers(law, key, count):
    out = np.empty(count, np.int64)
    for i in range(count):
        out[i] = number_from(law, key, i)
    return out


def shares(law):
    return np.diff(law, prepend=0) / law[-1]


def test_spans_of_spanbert_have_the_published_lengths():
    law = geometric_law(Fraction(2, 10), 10)
    published = [".2241", ".1792", ".1434", ".1147", ".0918", ".0734", ".0587", ".0470", ".0376"]

    assert [f"{share:.4f}"[1:] for share in shares(law)] == [*published, ".0301"]
    assert round(float(shares(law) @ np.arange(1, 11)), 3) == 3.797
    # Exact: 4^(n-1) * 5^(10-n) of 5^10 - 4^10.
    assert law[-1] == 5**10 - 4**10
    assert np.diff(law, prepend=0).tolist() == [4 ** (n - 1) * 5 ** (10 - n) for n in range(1, 11)]


def test_ngrams_of_albert_are_drawn_as_one_over_n():
    assert reciprocal_law(1).tolist() == [1]
    assert reciprocal_law(3).tolist() == [6, 9, 11]


@given(st.integers(1, 20))
def test_every_allowed_law_of_ngrams_is_exact(largest):
    law = reciprocal_law(largest)
    exact = [w / sum(reciprocals(largest)) for w in reciprocals(largest)]

    assert np.diff(law, prepend=0).tolist() == [share * int(law[-1]) for share in exact]


@given(st.fractions("1/1000", "999/1000", max_denominator=1000), st.integers(1, 100))
def test_every_law_of_spans_is_exact_or_within_half_of_two_to_the_minus_31(p, largest):
    law = geometric_law(p, largest)
    total, upto = cumulative(geometric(p, largest))

    assert law.tolist() == upto
    assert law[-1] == total < 2**32
    assert np.all(np.diff(law, prepend=0) >= 0)


@pytest.mark.parametrize(
    "law", [reciprocal_law(3), geometric_law(Fraction(1, 5), 10), law_of([Fraction(3)])]
)
def test_numbers_follow_the_law(law):
    n = 200_000
    found = np.bincount(numbers(law, key_for(0, "law"), n), minlength=len(law) + 1)[1:]
    expected = n * shares(law)

    assert found.sum() == n
    assert np.all(abs(found - expected) <= 5 * np.sqrt(expected * (1 - shares(law))))
