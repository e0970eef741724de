"""The laws' own arithmetic against golden values, brute force and another way of drawing."""

from collections import Counter
from fractions import Fraction
from itertools import combinations, pairwise
from math import comb, exp, factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.checks.laws import bart_draw, runs, span_noise
from lmprep.checks.laws.bart_twin import _poisson
from lmprep.checks.laws.copies import log_choices
from lmprep.checks.laws.noise import full_length, spans_of, token_noise
from lmprep.checks.laws.noise import span_noise as noise_of
from lmprep.checks.laws.parted import prefix_bounds
from lmprep.checks.laws.runs import geometric, reciprocal
from lmprep.checks.laws.span_noise import span_length_law
from lmprep.checks.laws.ul2 import _sizes
from lmprep.keyed_random import key_for, sub_keys
from lmprep.objective_settings import T5Settings

D15, D50 = Fraction(15, 100), Fraction(1, 2)

# Inputs, density and mean span length -> raw tokens and targets, of T5's helper.
LENGTHS = [
    (512, D15, 3, 568, 114),
    (512, D15, 2, 552, 126),
    (512, D15, 8, 588, 100),
    (512, Fraction(1, 4), 3, 614, 206),
    (512, D50, 3, 766, 512),
    (512, D50, 8, 908, 512),
    (512, D15, 64, 600, 92),
    (512, D50, 64, 1006, 512),
    (128, D15, 3, 141, 29),
    (64, Fraction(1, 5), 1, 63, 27),
]


@pytest.mark.parametrize(("length", "density", "mean", "raw", "targets"), LENGTHS)
def test_full_rows_have_the_lengths_of_the_paper(length, density, mean, raw, targets):
    def sizes(tokens):
        noise = noise_of(tokens, density)
        spans = spans_of(tokens, noise, mean)
        return tokens - noise + spans + 1, noise + spans + 1

    assert full_length(sizes, length, density) == raw
    assert sizes(raw)[1] == targets


def test_a_mode_token_takes_the_place_of_one_token():
    assert full_length(lambda n: _sizes(n, 0), 513, D15) == 568


def test_noise_is_rounded_half_to_even_and_leaves_a_token():
    assert [noise_of(n, D15) for n in (1, 2, 10, 30, 190, 568)] == [1, 1, 2, 4, 28, 85]
    assert [token_noise(n, D15) for n in (1, 2, 10, 30, 190)] == [1, 1, 2, 4, 28]
    assert [spans_of(568, 85, 3), spans_of(1, 1, 3), spans_of(10, 9, 1), spans_of(8, 2, 0)] == [
        28, 1, 1, 1,
    ]  # fmt: skip


def test_prefixes_leave_the_stated_share():
    half, quarter = (
        T5Settings(noise="prefix-lm"),
        T5Settings(noise="prefix-lm", noise_density=Fraction(1, 4)),
    )
    assert prefix_bounds(101, half) == (1, 100)
    assert prefix_bounds(101, quarter) == (50, 100)
    assert prefix_bounds(1, half) == (0, 0)


def compositions(total, parts):
    """All ways to part a number into positive parts."""
    for cuts in combinations(range(1, total), parts - 1):
        yield [b - a for a, b in pairwise((0, *cuts, total))]


@pytest.mark.parametrize(("noise", "spans"), [(1, 1), (5, 1), (5, 5), (6, 2), (9, 3), (10, 4)])
def test_span_lengths_have_the_law_of_all_compositions(noise, spans):
    counts = np.array(
        [
            [Counter(parts)[k] for k in range(span_noise._LONGEST)]
            for parts in compositions(noise, spans)
        ]
    )
    mean, covariance = span_length_law(noise, spans)

    assert np.allclose(mean, counts.mean(axis=0))
    assert np.allclose(covariance, np.cov(counts.T, bias=True))


def test_span_lengths_of_t5_are_those_of_the_formula():
    mean, _ = span_length_law(85, 28)

    assert np.allclose(mean[1:7] / 28, [comb(85 - k - 1, 26) / comb(84, 27) for k in range(1, 7)])
    assert np.allclose(mean[1:7] / 28, [0.321, 0.221, 0.150, 0.102, 0.069, 0.047], atol=1e-3)


@given(st.integers(0, 30), st.integers(0, 30))
def test_choices_are_binomial_coefficients(things, chosen):
    (log,) = log_choices(np.array([things]), np.array([chosen]))

    assert exp(log) == pytest.approx(comb(things, min(things, chosen)))


def test_laws_of_words_in_a_run():
    assert np.allclose(np.diff(reciprocal(3), prepend=0), [6 / 11, 3 / 11, 2 / 11])
    law = np.diff(geometric(Fraction(1, 5), 10), prepend=0)
    assert np.round(law, 4).tolist()[:3] == [0.2241, 0.1792, 0.1434]
    assert (law @ np.arange(1, 11)).round(3) == 3.797


def test_poissons_law_goes_on_until_nothing_is_left():
    law = _poisson(Fraction(3))

    assert np.allclose(
        np.diff(law, prepend=0)[:6], [exp(-3) * 3**k / factorial(k) for k in range(6)]
    )
    assert law[-1] == pytest.approx(1, abs=1e-12)


# --- Twins. --------------------------------------------------------------------------------------


def test_a_twin_of_words_takes_what_fits_and_no_more():
    """Five words of 1, 2, 3, 2 and 1 tokens; the middle ones are parted by a special token."""
    sizes, joined = np.array([1, 2, 3, 2, 1]), np.array([False, True, True, False, True])
    offsets, wanted = np.array([0, 5]), np.array([4])

    def chosen(order, lengths, through=False):
        out = np.zeros(5, bool)
        runs._draw(sizes, joined, offsets, np.array(order), np.array(lengths), wanted, through, out)
        return np.flatnonzero(out).tolist()

    # The run of three from word 0 ends where word 2 does not fit; word 4 takes the last token.
    assert chosen([0, 1, 2, 3, 4], [3, 1, 1, 1, 1]) == [0, 1, 4]
    # It ends before the special token, too.
    assert chosen([1, 2, 3, 4, 0], [1, 1, 1, 1, 1]) == [1, 3]
    assert chosen([2, 4, 0, 1, 3], [1, 1, 9, 1, 1]) == [2, 4]
    # A chosen word ends a run, or is passed over.
    assert chosen([1, 0, 2, 3, 4], [1, 3, 1, 1, 1]) == [0, 1, 4]
    assert chosen([4, 3, 1, 0, 2], [1, 2, 1, 1, 1], through=True) == [0, 3, 4]


def test_where_no_word_fits_the_twin_takes_a_shortest_one():
    out = np.zeros(3, bool)
    runs._draw(
        np.array([3, 2, 2]),
        np.array([False, True, True]),
        np.array([0, 3]),
        np.array([0, 2, 1]),
        np.ones(3, np.int64),
        np.array([1]),
        False,
        out,
    )
    assert out.tolist() == [False, False, True]


def test_a_twin_of_spans_has_the_noise_and_the_spans_it_should():
    rng = np.random.default_rng(3)
    rows, length, noise, spans = 2000, 20, 6, 3
    out = np.zeros(rows * length, bool)
    span_noise._draw(
        np.arange(rows + 1) * length,
        np.full(rows, noise),
        np.full(rows, spans),
        rng.random((2, len(out))),
        rng.random((2, rows)),
        out,
    )
    twins = out.reshape(rows, length)
    begins = np.diff(twins.astype(int), prepend=0, axis=1) == 1

    assert (twins.sum(1) == noise).all()
    assert (begins.sum(1) == spans).all()
    # A row begins with noise where the cut is at the start of a span, or moved there: (3 + 3/2)/20.
    share = (spans + (noise - spans) / 2) / length
    assert abs(twins[:, 0].mean() - share) < 5 * (share * (1 - share) / rows) ** 0.5


def test_bart_twins_hide_a_share_of_the_words_under_spans():
    """Rows of twenty words of one token, no sentences: six words are hidden, rows get no longer."""
    rows, length = 500, 20
    shares = np.array([[0, 1], [3, 10], [0, 1], [0, 1], [0, 1], [0, 1], [0, 1]])
    out, sizes = np.zeros(rows * 42, np.int64), np.zeros(rows, np.int64)
    bart_draw.damage(
        np.arange(rows + 1) * length,
        np.ones(rows * length, bool),
        np.zeros(0, np.int64),
        np.zeros(rows + 1, np.int64),
        shares,
        _poisson(Fraction(3)),
        sub_keys(key_for(0, "tests"), np.arange(rows)),
        np.arange(rows + 1) * 42,
        out,
        sizes,
    )
    lines = [out[row * 42 : row * 42 + sizes[row]] for row in range(rows)]

    assert all(np.array_equal(np.sort(line[line >= 0]), line[line >= 0]) for line in lines)
    assert {int((line >= 0).sum()) for line in lines} == {14}
    assert max(sizes) <= length
    # Spans until six words are covered: E = 1 + sum over m of P(Poisson(3 m) < 6).
    mean = 1 + sum(
        sum(exp(-3 * m) * (3 * m) ** k / factorial(k) for k in range(6)) for m in range(1, 60)
    )
    masks = np.array([(line == bart_draw.MASK).sum() for line in lines])
    assert abs(masks.mean() - mean) < 5 * masks.std() / rows**0.5


@pytest.mark.parametrize(
    ("rates", "kept", "masks", "random"),
    [
        ({2: (1, 10)}, 18, 2, 0),
        ({3: (1, 10)}, 18, 0, 0),
        ({2: (1, 10), 4: (1, 1)}, 18, 0, 2),
        ({5: (1, 10)}, 20, 0, 2),
        ({6: (1, 1)}, 20, 0, 0),
        ({0: (1, 1)}, 20, 0, 0),
    ],
)
def test_each_transformation_of_a_bart_twin_has_its_count(rates, kept, masks, random):
    shares = np.array([rates.get(i, (0, 1)) for i in range(7)])
    out, sizes = np.zeros(42, np.int64), np.zeros(1, np.int64)
    bart_draw.damage(
        np.array([0, 20]),
        np.ones(20, bool),
        np.array([5, 12]),
        np.array([0, 2]),
        shares,
        _poisson(Fraction(3)),
        sub_keys(key_for(4, "tests"), np.arange(1)),
        np.array([0, 42]),
        out,
        sizes,
    )
    line = out[: sizes[0]]

    assert (line >= 0).sum() == kept
    assert len(set(line[line >= 0].tolist())) == kept
    assert (line == bart_draw.MASK).sum() == masks
    assert (line == bart_draw.RANDOM).sum() == random
