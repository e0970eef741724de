"""Tails of distributions against closed forms, and decisions at the edge."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.checks.laws.positions import UniformPositions
from lmprep.checks.laws.twins import Twins
from lmprep.checks.statistics import (
    ALPHA,
    Z_LIMIT,
    at_least_as_many,
    at_most_as_rare,
    chi_square,
    chi_square_tail,
    fair_split,
    scatter,
)


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


# --- Sums against their covariance, rare accidents, lower bounds. --------------------------------


def test_sums_pass_up_to_their_scatter():
    covariance = np.diag([400.0, 100.0, 25.0])

    assert scatter(np.array([20.0, 10.0, 5.0]), covariance, 100).statistic == pytest.approx(3)
    assert scatter(np.array([20.0, 10.0, 5.0]), covariance, 100).passed
    assert not scatter(np.array([160.0, 0.0, 0.0]), covariance, 100).passed


def test_dependent_sums_count_once():
    """Counts of a multinomial: the covariance is singular, and the test is Pearson's."""
    share = np.array([0.5, 0.3, 0.2])
    found, expected = np.array([530.0, 280, 190]), 1000 * share
    covariance = 1000 * (np.diag(share) - np.outer(share, share))

    verdict, pearson = scatter(found - expected, covariance, 200), chi_square(found, expected)
    assert verdict.statistic == pytest.approx(pearson.statistic)
    assert verdict.p == pytest.approx(pearson.p)


def test_what_never_varies_must_be_exact():
    covariance = np.diag([100.0, 0.0])

    assert scatter(np.array([10.0, 0.0]), covariance, 50).passed
    assert scatter(np.array([10.0, 3.0]), covariance, 50).p == 0


def test_few_sums_decide_nothing():
    assert not scatter(np.array([50.0]), np.array([[1.0]]), 3).decided
    assert not scatter(np.zeros(0), np.zeros((0, 0)), 100).decided
    assert not scatter(np.zeros(2), np.zeros((2, 2)), 100).decided


@pytest.mark.parametrize(("found", "mean", "p"), [(1, 0.5, 0.393469), (3, 1.0, 0.080301)])
def test_rare_accidents_have_poissons_tail(found, mean, p):
    assert at_most_as_rare(found, mean).p == pytest.approx(p, rel=1e-4)


def test_accidents_are_no_fault_until_they_are_many():
    assert at_most_as_rare(0, 0.0).passed
    assert at_most_as_rare(-3, 1.0).passed
    assert not at_most_as_rare(1, 0.0).passed
    assert at_most_as_rare(5, 1.0).passed
    assert not at_most_as_rare(15, 1.0).passed


def test_a_lower_bound_is_broken_from_below_alone():
    assert at_least_as_many(100, 1000, 0.1).passed
    assert at_least_as_many(900, 1000, 0.1).passed
    assert not at_least_as_many(40, 1000, 0.1).passed
    assert not at_least_as_many(0, 100, 0.1).decided


def test_twins_of_the_same_law_pass_and_others_do_not():
    rng = np.random.default_rng(8)

    def verdict_of(mean, rows=400):
        twins = Twins("name", "law", ("first", "second"))
        found = rng.poisson(mean, rows).astype(float)
        drawn = rng.poisson(3, rows).astype(float)
        twins.add(np.stack([found, 2 * found], 1), np.stack([drawn, 2 * drawn], 1))
        return twins.check()

    assert all(verdict_of(3).passed for _ in range(50))
    assert not verdict_of(4).passed
    alike = Twins("name", "law", ("figure",))
    alike.add(np.ones((50, 1)), np.ones((50, 1)))
    assert alike.check().detail == "too few to judge"


def test_false_alarms_of_twins_are_no_more_than_stated_even_of_rare_figures():
    """A figure that is 1 in one row of a hundred: some forty times in 4000 rows."""
    rng = np.random.default_rng(9)
    p = []
    for _ in range(2000):
        found, drawn = rng.binomial(1, 0.01, (2, 4000, 1)).astype(float)
        twins = Twins("name", "law", ("figure",))
        twins.add(found, drawn)
        p.append(float(twins.check().detail.split("p ")[1]))

    assert np.mean(np.array(p) < 0.01) < 0.01 + 5 * math.sqrt(0.01 / 2000)


@pytest.mark.parametrize(("m", "k"), [(5, 2), (12, 5), (30, 4)])
def test_uniform_positions_scatter_as_the_test_takes_them_to(m, k):
    """Sums of chi-squares: as many degrees of freedom as there are tenths that vary, less one."""
    rng, statistics, rows = np.random.default_rng(10), [], 1200
    for _ in range(60):
        test = UniformPositions("name", 40)
        ranks = np.concatenate([np.sort(rng.choice(m, k, replace=False)) for _ in range(rows)])
        test.add(ranks, np.full(rows, k), np.full(rows, m))
        statistics.append(float(test.check().detail.split()[1].rstrip(",")))
    degrees = min(m, 10) - 1
    assert abs(np.mean(statistics) - degrees) < 5 * math.sqrt(2 * degrees / 60)
