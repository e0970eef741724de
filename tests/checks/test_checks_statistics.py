"""Tails of distributions against closed forms, and decisions at the edge."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.checks.statistics import ALPHA, Z_LIMIT, chi_square, chi_square_tail, fair_split


@given(st.floats(1e-3, 600), st.integers(1, 100))
def test_an_even_number_of_degrees_has_a_closed_form(x, half):
    # Q(n, h) = exp(-h) * sum of h^i / i! for i < n
    terms = [-x / 2 + i * math.log(x / 2) - math.lgamma(i + 1) for i in range(half)]
    exact = math.fsum(math.exp(t) for t in terms)

    assert chi_square_tail(x, 2 * half) == pytest.approx(exact, rel=1e-9, abs=1e-14)


@given(st.floats(1e-3, 600), st.integers(1, 60))
def test_an_odd_number_of_degrees_follows_from_the_error_function(x, half):
    # Q(a + 1, h) = Q(a, h) + h^a exp(-h) / gamma(a + 1), from Q(1/2, h) = erfc(sqrt(h))
    h = x / 2
    exact = math.erfc(math.sqrt(h)) + math.fsum(
        math.exp((i + 0.5) * math.log(h) - h - math.lgamma(i + 1.5)) for i in range(half)
    )

    assert chi_square_tail(x, 2 * half + 1) == pytest.approx(exact, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize(
    ("x", "degrees", "tail"),
    [(3.841459, 1, 0.05), (5.991465, 2, 0.05), (16.918978, 9, 0.05), (293.247835, 255, 0.05)],
)
def test_tails_agree_with_printed_tables(x, degrees, tail):
    assert chi_square_tail(x, degrees) == pytest.approx(tail, rel=1e-4)


def test_nothing_exceeds_less_than_zero_and_degrees_are_positive():
    assert chi_square_tail(0.0, 3) == 1.0
    with pytest.raises(ValueError, match="0 degrees"):
        chi_square_tail(1.0, 0)


def test_the_limit_is_the_normal_deviate_of_alpha():
    assert math.erfc(Z_LIMIT / math.sqrt(2)) == pytest.approx(ALPHA, rel=1e-3)


def test_a_split_is_fair_up_to_the_limit():
    draws = 1_000_000
    most = int(Z_LIMIT * math.sqrt(draws))

    assert fair_split(draws // 2 + most // 2, draws // 2 - most // 2, draws).passed
    assert not fair_split(draws // 2 + most, draws // 2 - most, draws).passed
    assert fair_split(0, 0, 0).passed


def test_counts_that_fit_pass_and_others_do_not():
    expected = np.array([8000, 1000, 1000])

    assert chi_square([8000, 1000, 1000], expected).p == 1
    assert chi_square([8050, 950, 1000], expected).passed
    assert not chi_square([8500, 500, 1000], expected).passed


def test_a_class_that_cannot_be_is_never_found():
    assert not chi_square([100, 1], [101, 0]).passed
    assert chi_square([100, 0], [100, 0]).passed


def test_too_few_counts_decide_nothing():
    verdict = chi_square([0, 8], [4, 4])

    assert verdict.passed
    assert not verdict.decided


def test_a_scale_below_one_makes_the_test_stricter():
    observed, expected = [1070, 930], [1000, 1000]

    assert chi_square(observed, expected, scale=0.5).p < chi_square(observed, expected).p


def test_false_alarms_are_as_rare_as_stated():
    rng = np.random.default_rng(4)
    p = [chi_square(c, [400, 300, 300]).p for c in rng.multinomial(1000, [0.4, 0.3, 0.3], 4000)]

    assert abs(np.mean(np.array(p) < 0.01) - 0.01) < 5 * math.sqrt(0.01 * 0.99 / 4000)
