"""Skip-gram: subsampling, windows and negatives follow word2vec's laws, in exact integers."""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.objective_settings import SkipgramSettings
from lmprep.objectives.skipgram import corrupt, draw_pairs, keep_thresholds, noise_table, scored
from lmprep.ragged import Ragged
from tests.strategies import BERT, keys_of, ragged_ids, seeds, sequences_of
from tests.test_keyed_random import spec_below, spec_draw

WHOLE = 1 << 63
thresholds_t = st.fractions(0, 1, max_denominator=10_000)


def counts_of(rows, size=BERT.size) -> np.ndarray:
    return np.bincount(np.array([i for row in rows for i in row], int), minlength=size)


def slow_threshold(count: int, total: int, t: Fraction) -> int:
    """The largest n with (n / 2**63)**2 <= t / f, at most 2**63."""
    if t == 0 or count == 0:
        return WHOLE
    ratio = t * total / count
    low, high = 0, WHOLE
    while low < high:
        middle = (low + high + 1) // 2
        if Fraction(middle, WHOLE) ** 2 <= ratio:
            low = middle
        else:
            high = middle - 1
    return low


def slow_corrupt(row, key, t, counts):
    """The law in plain words, one row at a time."""
    total = int(counts.sum())
    return [
        token
        for i, token in enumerate(row)
        if spec_draw(key, i) >> 1 < slow_threshold(int(counts[token]), total, t)
    ]


@given(ragged_ids(), thresholds_t, seeds)
def test_the_kernel_equals_the_law_in_plain_words(rows, t, seed):
    keys = keys_of(len(rows), seed)
    counts = counts_of([*rows, range(50)])
    columns = corrupt(sequences_of(rows), SkipgramSettings(subsample=t), BERT, keys, counts=counts)
    expected = [slow_corrupt(row, int(k), t, counts) for row, k in zip(rows, keys, strict=True)]

    assert [row.tolist() for row in columns["input_ids"]] == expected
    assert scored(columns) == sum(len(row) for row in expected if len(row) > 1)


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=20), thresholds_t)
def test_thresholds_are_exact_for_corpora_of_any_size(counts, t):
    expected = [slow_threshold(count, sum(counts), t) for count in counts]

    assert keep_thresholds(np.array(counts), t).tolist() == expected


def test_a_hand_worked_row():
    # f of id 7 is 3/4: kept with probability sqrt(1/3 / (3/4)) = 2/3. f of id 8 is 1/4 < t: kept.
    counts = counts_of([[7, 7, 7, 8]])
    seven, eight = keep_thresholds(counts, Fraction(1, 3))[[7, 8]].tolist()

    assert seven == isqrt(WHOLE * WHOLE * 4 // 9)
    assert abs(seven / WHOLE - 2 / 3) < 1e-15
    assert eight == WHOLE


def test_a_threshold_of_0_keeps_every_token():
    rows = [[5] * 40, [6, 5]]
    columns = corrupt(sequences_of(rows), SkipgramSettings(subsample=Fraction(0)), BERT, keys_of(2))

    assert [row.tolist() for row in columns["input_ids"]] == rows


def test_tokens_stay_as_often_as_the_paper_says():
    rng = np.random.default_rng(0)
    shares = np.array([0.6, 0.25, 0.1, 0.04, 0.01])
    rows = (rng.choice(5, size=(4000, 100), p=shares) + 5).tolist()
    settings = SkipgramSettings(subsample=Fraction(1, 20))
    columns = corrupt(sequences_of(rows), settings, BERT, keys_of(len(rows)))
    before, after = counts_of(rows)[5:10], counts_of([columns["input_ids"].values])[5:10]
    expected = np.minimum(1, np.sqrt(0.05 / (before / before.sum())))
    error = np.sqrt(expected * (1 - expected) / before)

    assert expected[3] == expected[4] == 1
    assert np.all(abs(after / before - expected) <= 5 * error)


def test_a_place_in_the_row_does_not_matter():
    rows = [[5] * 100] * 5000
    settings = SkipgramSettings(subsample=Fraction(1, 4))
    kept = [
        corrupt(sequences_of([r]), settings, BERT, k[None], counts_of([[5]]))["input_ids"].lengths
        for r, k in zip(rows[:50], keys_of(50), strict=True)
    ]
    together = corrupt(sequences_of(rows), settings, BERT, keys_of(5000), counts_of([[5]]))

    assert np.concatenate(kept).tolist() == together["input_ids"].lengths[:50].tolist()
    # Half of all tokens; the number kept in a row is binomial.
    lengths = together["input_ids"].lengths
    assert abs(lengths.mean() - 50) < 5 * 5 / np.sqrt(5000)
    assert abs(lengths.var() - 25) < 5 * 25 * np.sqrt(2 / 5000)


@given(ragged_ids(), seeds)
def test_the_same_keys_give_the_same_rows_and_the_input_stays(rows, seed):
    sequences = sequences_of(rows)
    before = sequences.ids.copy()
    settings = SkipgramSettings(subsample=Fraction(1, 10))
    first, again = (corrupt(sequences, settings, BERT, keys_of(len(rows), seed)) for _ in range(2))

    assert np.array_equal(first["input_ids"].values, again["input_ids"].values)
    assert np.array_equal(sequences.ids, before)
    assert len(first["input_ids"]) == len(rows)


def slow_weights(counts):
    """floor(count ** 0.75 * 2**24), as the largest n with n**4 <= count**3 * 2**96."""
    weights = []
    for count in map(int, counts):
        low, high = 0, (count + 1) << 24
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if middle**4 <= count**3 << 96 else (low, middle - 1)
        weights.append(low)
    return weights


def slow_bounds(counts):
    weights = slow_weights(counts)
    running = np.cumsum([0, *weights], dtype=object)
    return [int(upto) * WHOLE // sum(weights) for upto in running]


def slow_pairs(row, settings, counts, key):
    """Pairs of one row with their negatives, in plain words."""
    stride = 1 + 2 * settings.window * settings.negatives
    bounds = slow_bounds(counts)
    pairs = []
    for i, centre in enumerate(row):
        reach = 1 + spec_below(settings.window, key, stride * i)
        counter = stride * i
        for j, context in enumerate(row):
            if 0 < abs(i - j) <= reach:
                draws = [spec_draw(key, counter + n) >> 1 for n in range(1, settings.negatives + 1)]
                counter += settings.negatives
                pairs.append((centre, context, [bisect_right(bounds, d) - 1 for d in draws]))
    return pairs


@given(ragged_ids(), st.integers(1, 6), st.integers(1, 4), seeds)
def test_pairs_equal_those_in_plain_words(rows, window, negatives, seed):
    settings = SkipgramSettings(window=window, negatives=negatives)
    counts = counts_of([*rows, [5, 5, 7]])
    keys = keys_of(len(rows), seed)
    pairs = draw_pairs(Ragged.from_rows(rows, np.int32), settings, noise_table(counts), keys)
    expected = [
        pair
        for row, key in zip(rows, keys, strict=True)
        for pair in slow_pairs(row, settings, counts, int(key))
    ]

    assert len(pairs) == len(expected)
    assert pairs.centres.tolist() == [centre for centre, _, _ in expected]
    assert pairs.contexts.tolist() == [context for _, context, _ in expected]
    assert pairs.negatives.tolist() == [noise for _, _, noise in expected]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60).filter(any))
def test_the_table_of_negatives_is_exact(counts):
    table = noise_table(np.array(counts))

    assert table.bounds.tolist() == slow_bounds(counts)
    # The guide never starts beyond an id whose stretch its leading bits may fall in.
    starts = [
        bisect_right(slow_bounds(counts), b << table.shift) - 1 for b in range(len(table.guide))
    ]
    assert table.guide.tolist() == starts


def test_a_row_draws_the_same_pairs_in_any_batch():
    rows = Ragged.from_rows([[5, 6], [7, 8, 9, 10], [11, 5]], np.int32)
    noise, keys = noise_table(np.ones(50, np.int64)), keys_of(3)
    together = draw_pairs(rows, SkipgramSettings(), noise, keys)
    alone = draw_pairs(Ragged(rows.values, rows.offsets[1:3]), SkipgramSettings(), noise, keys[1:2])
    own = np.isin(together.centres, [7, 8, 9, 10])

    assert alone.centres.tolist() == together.centres[own].tolist()
    assert alone.contexts.tolist() == together.contexts[own].tolist()
    assert alone.negatives.tolist() == together.negatives[own].tolist()


def test_every_window_is_equally_likely():
    settings = SkipgramSettings(window=5, negatives=1)
    rows = Ragged.from_rows([list(range(5, 45))] * 2000, np.int32)
    pairs = draw_pairs(rows, settings, noise_table(np.ones(50, np.int64)), keys_of(2000))
    inner = (pairs.centres >= 10) & (pairs.centres < 40)
    distances = np.bincount(abs(pairs.centres - pairs.contexts)[inner], minlength=6)[1:]
    centres = 2000 * 30

    # A neighbour d away is met when the window is d or more: with probability (6 - d) / 5.
    expected = np.array([1, 0.8, 0.6, 0.4, 0.2])
    error = np.sqrt(expected * (1 - expected) / centres)
    assert np.all(abs(distances / (2 * centres) - expected) <= 5 * error)


def test_negatives_come_in_proportion_to_the_three_quarter_power():
    counts = np.zeros(50, np.int64)
    counts[5:10] = [1, 16, 81, 256, 10_000]
    settings = SkipgramSettings(window=1, negatives=20)
    rows = Ragged.from_rows([[5, 6] * 20] * 300, np.int32)
    pairs = draw_pairs(rows, settings, noise_table(counts), keys_of(300))
    found = np.bincount(pairs.negatives.ravel(), minlength=50)
    expected = counts**0.75 / (counts**0.75).sum()
    n = pairs.negatives.size

    assert n == 300 * 78 * 20
    assert np.all(abs(found / n - expected) <= 5 * np.sqrt(expected * (1 - expected) / n))


def test_negatives_of_one_centre_are_independent():
    settings = SkipgramSettings(window=3, negatives=4)
    rows = Ragged.from_rows([[5, 6, 7, 8, 9, 10, 11]] * 4000, np.int32)
    pairs = draw_pairs(rows, settings, noise_table(np.ones(16, np.int64)), keys_of(4000))
    alike = pairs.negatives[:, :-1] == pairs.negatives[:, 1:]
    next_alike = pairs.negatives[:-1] == pairs.negatives[1:]

    for found in (alike, next_alike):
        assert abs(found.mean() - 1 / 16) < 5 * np.sqrt(1 / 16 * 15 / 16 / found.size)


def test_no_words_have_no_law_of_negatives():
    with pytest.raises(ValueError, match="counts of 0 tokens have no law of negatives"):
        noise_table(np.zeros(50, np.int64))
