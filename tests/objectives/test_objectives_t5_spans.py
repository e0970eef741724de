"""Random spans: the law of the mask, in the small by enumeration and in the large by statistics."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations, pairwise, product
from math import comb

import numpy as np
import pytest
import slow_denoising as slow
from denoising_examples import T5, bare, chi_square_fits, counting_rows, lists, t5_vocabulary
from hypothesis import given
from hypothesis import strategies as st

from lmprep.objective_settings import T5Settings
from lmprep.objectives.t5 import corrupt
from lmprep.objectives.t5.span_masks import span_mask
from lmprep.ragged import offsets_of
from tests.strategies import keys_of, seeds

MANY = t5_vocabulary(sentinels=400, size=2000)
LENGTH, NOISE, SPANS = 568, 85, 28
ROWS = 20_000

lengths = st.lists(st.integers(0, 60), min_size=1, max_size=6)
densities = st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=100)


def masks(rows, length, noise, spans, *, rotated=True, seed=0):
    """Masks of equal rows: bool [rows, length]."""
    one = np.ones(rows, np.int64)
    flat = span_mask(
        offsets_of(length * one), noise * one, spans * one, one == rotated, keys_of(rows, seed)
    )
    return flat.reshape(rows, length)


def run_lengths(mask):
    """Lengths of the runs of noise, of all rows one after another."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    return np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]


@pytest.fixture(scope="module")
def many():
    return masks(ROWS, LENGTH, NOISE, SPANS)


@given(lengths, densities, st.integers(1, 12), st.booleans(), seeds)
def test_masks_equal_the_law_in_plain_words(lengths, density, mean, rotated, seed):
    counts = [slow.noise_and_spans(length, density, mean) for length in lengths]
    keys = keys_of(len(lengths), seed)
    noise, spans = (np.array(column) for column in zip(*counts, strict=True))
    mask = span_mask(offsets_of(lengths), noise, spans, np.full(len(lengths), rotated), keys)
    expected = [
        slow.span_mask(length, *count, rotated, int(key))
        for length, count, key in zip(lengths, counts, keys, strict=True)
    ]

    assert mask.tolist() == [flag for row in expected for flag in row]


@given(lengths, densities, st.integers(1, 12), st.booleans(), seeds)
def test_columns_equal_the_law_in_plain_words(lengths, density, mean, final, seed):
    settings = T5Settings(noise_density=density, mean_span_length=mean, final_sentinel=final)
    rows, keys = counting_rows(lengths), keys_of(len(lengths), seed)
    columns = corrupt(bare(rows), settings, MANY, keys)
    expected = []
    for row, key in zip(rows, keys, strict=True):
        counts = slow.noise_and_spans(len(row), density, mean)
        mask = slow.span_mask(len(row), *counts, True, int(key))
        expected.append(slow.splice(row, mask, MANY.sentinels, MANY.sep, final=final))

    assert lists(columns, "input_ids") == [inputs for inputs, _ in expected]
    assert lists(columns, "labels") == [labels for _, labels in expected]


@given(st.integers(1, 60), densities, st.integers(1, 12), seeds)
def test_every_row_has_exactly_its_noise_tokens_and_runs(length, density, mean, seed):
    noise, spans = slow.noise_and_spans(length, density, mean)
    mask = masks(20, length, noise, spans, seed=seed)

    assert np.all(mask.sum(1) == noise)
    assert len(run_lengths(mask)) == 20 * spans


def test_568_tokens_always_make_28_runs_and_targets_of_114(many):
    columns = corrupt(bare(counting_rows([LENGTH] * 50)), T5Settings(), T5, keys_of(50))

    assert np.all(many.sum(1) == NOISE)
    assert len(run_lengths(many)) == ROWS * SPANS
    assert columns["input_ids"].lengths.tolist() == [512] * 50
    assert columns["labels"].lengths.tolist() == [114] * 50


def test_sentinels_are_consecutive_and_equal_on_both_sides():
    columns = corrupt(bare(counting_rows([LENGTH] * 50)), T5Settings(), T5, keys_of(50))

    for name in ("input_ids", "labels"):
        for row in lists(columns, name):
            assert [i for i in row if i > 899] == list(range(999, 999 - SPANS, -1))


def enumerated(length, noise, spans):
    """The probability of each mask: compositions, a place, and a side where it falls in a run."""
    law = Counter()
    compositions = [
        [
            [stop - start for start, stop in pairwise([0, *cuts, total])]
            for cuts in combinations(range(1, total), spans - 1)
        ]
        for total in (length - noise, noise)
    ]
    for gaps, runs in product(*compositions):
        circle = [
            flag for g, r in zip(gaps, runs, strict=True) for flag in [False] * g + [True] * r
        ]
        for place, late in product(range(length), (False, True)):
            first = place
            while circle[place] and circle[first - 1] and not late:
                first -= 1
            while late and circle[place] and circle[place - 1] and circle[first % length]:
                first += 1
            mask = circle[first % length :] + circle[: first % length]
            law[tuple(mask)] += Fraction(1, 2 * length)
    total = sum(law.values())
    return {mask: weight / total for mask, weight in law.items()}


@pytest.mark.parametrize(("length", "noise", "spans"), [(8, 3, 2), (7, 4, 2), (9, 3, 3), (6, 4, 1)])
def test_every_mask_has_its_probability(length, noise, spans):
    law, rows = enumerated(length, noise, spans), 100_000
    found = Counter(map(tuple, masks(rows, length, noise, spans).tolist()))

    assert found.keys() == law.keys()
    assert chi_square_fits(
        [found[mask] for mask in law], [float(weight) * rows for weight in law.values()]
    )


def test_the_parts_of_an_unrotated_row_are_uniform_compositions():
    # 6 noise tokens in 3 runs and 5 others in 3 gaps: 10 by 6 ways, each equally likely.
    rows = 60_000
    found = Counter(map(tuple, masks(rows, 11, 6, 3, rotated=False).tolist()))

    assert len(found) == comb(5, 2) * comb(4, 2)
    assert chi_square_fits(list(found.values()), [rows / 60] * 60)


def test_run_lengths_follow_the_exact_law(many):
    # P(k) = C(N - k - 1, S - 2) / C(N - 1, S - 1): .321 .221 .150 .102 .069 .047 ...
    law = [
        comb(NOISE - k - 1, SPANS - 2) / comb(NOISE - 1, SPANS - 1)
        for k in range(1, NOISE - SPANS + 2)
    ]
    assert np.allclose(law[:6], [0.321, 0.221, 0.150, 0.102, 0.069, 0.047], atol=0.001, rtol=0)
    counts = np.bincount(run_lengths(many), minlength=len(law) + 1)[1:]
    expected = np.array(law) * ROWS * SPANS

    # Runs of a row share its 85 tokens: counts vary less than independent ones would.
    assert chi_square_fits([*counts[:20], counts[20:].sum()], [*expected[:20], expected[20:].sum()])


def test_noise_is_as_frequent_in_every_tenth_of_the_row(many):
    tenths = np.arange(LENGTH) * 10 // LENGTH
    for tenth in range(10):
        counts = many[:, tenths == tenth].sum(1)
        error = counts.std() / np.sqrt(ROWS)
        assert abs(counts.mean() - NOISE * np.mean(tenths == tenth)) < 5 * error


def test_the_ends_of_a_row_are_noise_as_often_as_the_law_says(many):
    # A run opens the row when the place falls on its first token, or inside it and moves there:
    # (S + (N - S) / 2) of L places; likewise it closes it. T5's code has 0 and 1.
    p = (SPANS + (NOISE - SPANS) / 2) / LENGTH
    error = np.sqrt(p * (1 - p) / ROWS)

    assert abs(many[:, 0].mean() - p) < 5 * error
    assert abs(many[:, -1].mean() - p) < 5 * error


def test_a_row_that_is_not_rotated_ends_with_its_last_run():
    mask = masks(500, 40, 10, 1, rotated=False)

    assert np.all(mask[:, -10:])
    assert not np.any(mask[:, :-10])


def test_rows_of_one_and_two_tokens():
    columns = corrupt(bare([[7], [8, 9], []]), T5Settings(), T5, keys_of(3))
    inputs, labels = lists(columns, "input_ids"), lists(columns, "labels")

    assert (inputs[0], labels[0]) == ([999, 1], [999, 7, 1])
    assert (inputs[1], labels[1]) in (([999, 9, 1], [999, 8, 1]), ([8, 999, 1], [999, 9, 1]))
    assert (inputs[2], labels[2]) == ([1], [1])
