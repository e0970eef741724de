"""Co-occurrence counts: exact, the same in any order and any pieces, never across a row."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.objective_settings import CooccurrenceSettings
from lmprep.objectives import pair_counts
from lmprep.objectives.cooccurrence import columns_of, corrupt, fit_weights, scored
from lmprep.objectives.pair_counts import count_pairs, distance_units
from lmprep.objectives.pair_sums import PairSums
from lmprep.vocabulary import Vocabulary
from tests.slow_pair_counts import slow_pair_counts
from tests.strategies import BERT, keys_of, ragged_ids, sequences_of

windows = st.integers(1, 30)


def joined(blocks) -> dict[tuple[int, int], int]:
    """Blocks as a dictionary, after a look at their order."""
    parts = [np.concatenate(part).tolist() for part in zip(*blocks, strict=True)]
    pairs = list(zip(parts[0], parts[1], strict=True))
    assert pairs == sorted(set(pairs))
    return dict(zip(pairs, parts[2], strict=True))


@given(ragged_ids(), st.integers(1, 22), st.integers(1, 200))
def test_counts_are_exactly_those_of_every_pair(rows, window, block_rows):
    one = int(distance_units(window)[0])
    blocks = list(count_pairs(sequences_of(rows), window, BERT.size, block_rows))
    found = joined(blocks)

    assert {pair: Fraction(units, one) for pair, units in found.items()} == slow_pair_counts(
        rows, window
    )


@given(ragged_ids(), st.integers(23, 100))
def test_wide_windows_are_exact_to_half_a_unit_for_each_pair(rows, window):
    found = joined(count_pairs(sequences_of(rows), window, BERT.size))
    exact = slow_pair_counts(rows, window)

    assert found.keys() == exact.keys()
    for pair, count in exact.items():
        assert abs(Fraction(found[pair], 1 << 30) / count - 1) < Fraction(100, 1 << 31)


def test_a_hand_worked_row():
    a, b, c = 7, 8, 9
    columns = corrupt(
        sequences_of([[a, b, a, c]]), CooccurrenceSettings(window=2), BERT, keys_of(1)
    )

    assert columns["word"].tolist() == [a, a, a, b, b, c, c]
    assert columns["context"].tolist() == [a, b, c, a, c, a, b]
    assert columns["weight"].tolist() == [1, 2, 1, 2, 0.5, 1, 0.5]
    assert [columns[n].dtype for n in ("word", "context", "weight")] == ["i4", "i4", "f4"]
    assert scored(columns) == 7


def test_no_context_leaves_its_row():
    apart = corrupt(sequences_of([[5, 6], [7], [], [8, 9]]), CooccurrenceSettings(), BERT, [])

    assert list(zip(apart["word"], apart["context"], strict=True)) == [
        (5, 6), (6, 5), (8, 9), (9, 8),
    ]  # fmt: skip


@pytest.mark.parametrize("rows", [[[]], [[5]], [[5], [6]]])
def test_rows_without_neighbours_have_no_counts(rows):
    columns = corrupt(sequences_of(rows), CooccurrenceSettings(), BERT, [])

    assert scored(columns) == 0
    assert columns["weight"].dtype == np.float32


@given(ragged_ids(), windows)
def test_counts_are_symmetric(rows, window):
    found = joined(count_pairs(sequences_of(rows), window, BERT.size))

    assert all(found[context, word] == units for (word, context), units in found.items())


def test_large_vocabularies_are_counted_in_order_of_id():
    large = Vocabulary(family="gpt2", size=200_000, special=(0,), sep=0)
    rng = np.random.default_rng(1)
    rows = [rng.integers(1, 200_000, 300).tolist(), [199_999, 4096, 64, 199_999, 0, 63]]
    found = joined(count_pairs(sequences_of(rows, large), 3, large.size, 1))

    assert {pair: Fraction(units, 6) for pair, units in found.items()} == slow_pair_counts(rows, 3)


@given(ragged_ids(), st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(rows, seed):
    shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    one, other = (
        joined(count_pairs(sequences_of(each), 5, BERT.size)) for each in (rows, shuffled)
    )

    assert one == other


@pytest.mark.parametrize("window", range(1, 101))
def test_units_are_exact_or_finer_than_float32(window):
    one, *units = distance_units(window).tolist()

    for d, unit in enumerate(units, 1):
        error = abs(Fraction(unit, one) * d - 1)
        assert error == 0 if window <= 22 else error < Fraction(1, 2**24)
    assert one == (math.lcm(*range(1, window + 1)) if window <= 22 else 2**30)


@given(st.lists(ragged_ids(), min_size=1, max_size=4), st.integers(1, 50), st.integers(1, 40))
def test_partitions_add_up_to_the_whole(partitions, words, block_rows):
    """For any number of partitions, any ranges of words and any blocks."""
    total = {}
    for first in range(0, BERT.size, words):
        sums = PairSums(first, min(BERT.size, first + words), BERT.size)
        for rows in partitions:
            for counts in count_pairs(sequences_of(rows), 4, BERT.size, block_rows):
                sums.add(counts)
        blocks = list(sums.blocks(block_rows))
        assert [len(block[0]) for block in blocks[:-1]] == [block_rows] * (len(blocks) - 1)
        found = joined(blocks) if blocks else {}
        assert len(sums) == len(found)
        assert all(first <= word < first + words for word, _ in found)
        total |= found
    whole = slow_pair_counts([row for rows in partitions for row in rows], 4)

    assert {pair: Fraction(units, 12) for pair, units in total.items()} == whole


def test_a_sum_beyond_64_bits_is_an_error():
    half = np.array([1 << 62])
    sums = PairSums(5, 7, BERT.size)
    sums.add((np.array([6], np.int32), np.array([5], np.int32), half))

    with pytest.raises(ValueError, match=r"beyond 2\*\*63 units"):
        sums.add((np.array([6], np.int32), np.array([5], np.int32), half))


def test_a_count_beyond_64_bits_is_an_error(monkeypatch):
    monkeypatch.setattr(pair_counts, "distance_units", lambda window: np.full(2, 1 << 61))

    with pytest.raises(ValueError, match=r"beyond 2\*\*63 units"):
        list(count_pairs(sequences_of([[5, 5, 5]]), 1, BERT.size))


def test_weights_are_the_nearest_float32():
    words = np.array([5], np.int32)
    columns = columns_of((words, words, np.array([840 + 1260])), 10)

    assert columns["weight"].tolist() == [np.float32(1 / 3 + 1 / 2)]


def test_fit_weights_are_gloves():
    weights = fit_weights(np.array([[123, 50], [0, 100]], np.float32))

    assert weights.shape == (2, 2)
    assert weights[0, 0] == 1
    assert weights[1, 0] == 0
    assert weights[1, 1] == 1
    assert round(float(weights[0, 1]), 4) == 0.5946
    assert fit_weights(np.array([5.0]), ceiling=10, power=1) == 0.5
