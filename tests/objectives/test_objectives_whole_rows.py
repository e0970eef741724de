"""Rows that are stored whole, and what is predicted from them: clm, bilm, electra."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from masked_examples import (
    LARGE,
    check_objective,
    flat_positions,
    lists,
    of_words,
    rates,
    same,
    wanted,
    worded,
)

from lmprep.objective_settings import FORMS
from lmprep.objectives import OBJECTIVES, bilm, clm, electra
from lmprep.ragged import Ragged
from tests.strategies import BERT, keys_of, ragged_ids, seeds, sequences_of

WHOLE = ("clm", "bilm", "electra")


def column(rows):
    return Ragged.from_rows(rows, np.int32)


def rows_of(targets):
    positions, labels = targets
    return [row.tolist() for row in positions], [row.tolist() for row in labels]


@pytest.mark.parametrize("name", WHOLE)
@given(sequences=worded())
def test_rows_are_kept_as_they_are(name, sequences):
    columns = check_objective(name, sequences, FORMS[name].settings())

    assert set(columns) == {"input_ids"}
    assert same(columns["input_ids"], Ragged(sequences.ids, sequences.offsets))
    assert not OBJECTIVES[name].draws


def test_each_word_is_predicted_from_those_before_it():
    # I saw a cat .
    ids = column([[39, 1592, 10, 2548, 5]])

    assert rows_of(clm.next_tokens(ids)) == ([[0, 1, 2, 3]], [[1592, 10, 2548, 5]])
    assert clm.scored({"input_ids": ids}) == 4


def test_both_directions_predict_the_same_words():
    # t1 t2 t3 t4 between [CLS] and [SEP]: t1 from [CLS] alone, and from all behind it.
    ids = column([[2, 11, 12, 13, 14, 3]])

    assert rows_of(bilm.forward_targets(ids)) == ([[0, 1, 2, 3]], [[11, 12, 13, 14]])
    assert rows_of(bilm.backward_targets(ids)) == ([[2, 3, 4, 5]], [[11, 12, 13, 14]])
    assert bilm.scored({"input_ids": ids}) == 4


@given(ragged_ids())
def test_targets_are_the_neighbours_and_as_many_as_are_scored(rows):
    ids = column(rows)
    forward, backward = bilm.forward_targets(ids), bilm.backward_targets(ids)
    following, scored = clm.next_tokens(ids), {"input_ids": ids}

    assert rows_of(following) == (
        [list(range(len(row) - 1)) for row in rows],
        [row[1:] for row in rows],
    )
    assert rows_of(forward) == (
        [list(range(len(row) - 2)) for row in rows],
        [row[1:-1] for row in rows],
    )
    assert rows_of(backward) == (
        [list(range(2, len(row))) for row in rows],
        [row[1:-1] for row in rows],
    )
    assert clm.scored(scored) == len(following[1].values)
    assert bilm.scored(scored) == len(forward[1].values) == len(backward[1].values)
    assert OBJECTIVES["electra"].scored(scored) == len(ids.values)


@given(ragged_ids())
def test_the_backward_model_is_the_forward_model_of_the_reversed_row(rows):
    backwards = column([row[::-1] for row in rows])
    _, labels = rows_of(bilm.forward_targets(backwards))

    assert [row[::-1] for row in labels] == rows_of(bilm.backward_targets(column(rows)))[1]


def test_rows_within_a_longer_array_have_their_own_targets():
    ids = Ragged(np.arange(10, 20, dtype=np.int32), np.array([3, 6, 10], np.int64))

    assert rows_of(clm.next_tokens(ids)) == ([[0, 1], [0, 1, 2]], [[14, 15], [17, 18, 19]])


@given(worded(), rates, seeds)
def test_the_generator_is_given_distinct_masks_of_berts_number(sequences, rate, seed):
    keys = keys_of(len(sequences), seed)
    columns = electra.mask_for_generator(sequences, BERT, keys, rate)
    places = flat_positions(columns)
    found = columns["input_ids"].values[places]
    settings = FORMS["mlm"].settings(mask_rate=rate)

    assert len(np.unique(places)) == len(places)
    assert np.all(sequences.maskable[places])
    assert np.all((found == BERT.mask) | (found == columns["masked_labels"].values))
    for row, positions in enumerate(lists(columns, "masked_positions")):
        start, stop = sequences.offsets[row : row + 2].tolist()
        maskable = int(sequences.maskable[start:stop].sum())
        assert len(positions) == min(maskable, wanted(settings, stop - start))


def test_85_of_100_masks_hide_their_token():
    rows = 4000
    sequences = sequences_of([[2, *range(5, 131), 3]] * rows, LARGE)
    columns = electra.mask_for_generator(sequences, LARGE, keys_of(rows))
    masked = columns["input_ids"].values[flat_positions(columns)] == LARGE.mask

    assert set(columns["masked_positions"].lengths) == {19}
    assert abs(masked.mean() - 0.85) < 5 * np.sqrt(0.85 * 0.15 / len(masked))


def test_a_drawn_token_that_equals_the_original_counts_as_original():
    original = column([[2, 10, 11, 12, 3], [2, 13, 14, 3]])
    positions = column([[1, 3], [2]])
    ids, labels = electra.replace_sampled(original, positions, np.array([10, 40, 41]))

    assert lists({"ids": ids}, "ids") == [[2, 10, 11, 40, 3], [2, 13, 41, 3]]
    assert lists({"labels": labels}, "labels") == [[0, 0, 0, 1, 0], [0, 0, 1, 0]]
    assert labels.values.dtype == np.int8
    assert original.values.tolist() == [2, 10, 11, 12, 3, 2, 13, 14, 3]


@given(worded(), seeds, st.randoms(use_true_random=False))
def test_labels_are_1_just_where_the_tokens_differ(sequences, seed, random):
    masks = electra.mask_for_generator(
        sequences, BERT, keys_of(len(sequences), seed), Fraction(1, 2)
    )
    sampled = np.array([random.randrange(5, 12) for _ in masks["masked_labels"].values], np.int64)
    original = Ragged(sequences.ids, sequences.offsets)
    ids, labels = electra.replace_sampled(original, masks["masked_positions"], sampled)
    places = flat_positions(masks)

    assert ids.values[places].tolist() == sampled.tolist()
    assert labels.values[places].tolist() == (sampled != masks["masked_labels"].values).tolist()
    assert labels.values.sum() == labels.values[places].sum()
    assert np.array_equal(ids.values != sequences.ids, labels.values.astype(np.bool_))


def test_whole_rows_need_no_words():
    # What comes back marks every token as a word start: these objectives do not ask.
    sequences = of_words([[2, [10, 11], 3]])
    columns = OBJECTIVES["clm"].corrupt(sequences, FORMS["clm"].settings(), BERT, keys_of(1))
    restored = OBJECTIVES["clm"].restore(
        {**columns, **sequences.provenance()}, FORMS["clm"].settings(), BERT
    )

    assert restored.word_start.all()
