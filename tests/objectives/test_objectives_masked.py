"""Masked objectives: every kernel equals its law in plain words; what all of them must keep."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from masked_examples import (
    LARGE,
    MASKED,
    WORDED,
    check_masked,
    corrupted,
    flat_positions,
    lists,
    of_words,
    repeated,
    settings_for,
    wanted,
    worded,
    words_in,
)
from slow_masked import slow_corrupt

from lmprep.objective_settings import FORMS
from lmprep.objectives import OBJECTIVES, check_fit
from lmprep.ragged import Ragged
from lmprep.settings import SequenceSettings
from lmprep.vocabulary import Vocabulary
from tests.strategies import BERT, keys_of, seeds, sequences_of

SPANNED = ("span", "infoword")


@pytest.mark.parametrize("name", MASKED)
@given(data=st.data(), seed=seeds)
def test_the_kernels_equal_the_law_in_plain_words(name, data, seed):
    sequences, settings = data.draw(worded()), data.draw(settings_for(name))
    keys = keys_of(len(sequences), seed)
    columns = OBJECTIVES[name].corrupt(sequences, settings, BERT, keys)
    expected = slow_corrupt(name, sequences, settings, BERT, keys)

    assert lists(columns, "input_ids") == [row[0] for row in expected]
    assert lists(columns, "masked_positions") == [row[1] for row in expected]
    assert lists(columns, "masked_labels") == [row[2] for row in expected]
    if name in SPANNED:
        starts, lengths = lists(columns, "span_starts"), lists(columns, "span_lengths")
        spans = [list(zip(s, n, strict=True)) for s, n in zip(starts, lengths, strict=True)]
        assert spans == [row[3] for row in expected]


@pytest.mark.parametrize("name", MASKED)
@given(data=st.data(), seed=seeds)
def test_nothing_is_lost_or_touched_that_must_not_be(name, data, seed):
    check_masked(name, data.draw(worded()), data.draw(settings_for(name)), seed=seed)


@pytest.mark.parametrize("name", MASKED)
def test_pairs_and_packed_rows_keep_where_they_came_from(name):
    rows = [[2, [10, 11], [12], 3, [13], [14, 15], 3], [2, [20], 3, [21, 22], [23], 3]]
    everything = replace(
        of_words(rows),
        document=np.array([7 << 40, 9], np.int64),
        first_sentence=np.array([4, 0], np.int32),
        document_starts=Ragged.from_rows([[4], []], np.int32),
        first_segment_length=np.array([5, 3], np.int32),
        second_document=np.array([8, 9], np.int64),
        second_sentence=np.array([0, 2], np.int32),
        next_sentence_label=np.array([1, 0], np.int8),
        sentence_order_label=np.array([0, 1], np.int8),
    )

    check_masked(name, everything, FORMS[name].settings())


@pytest.mark.parametrize("name", MASKED)
def test_rows_that_a_reader_gives_back_are_restored(name):
    # Stored rows are a part of longer arrays, word starts and all, and may not be written to.
    whole = of_words([[2, [10, 11], [12], 3], [2, [20], [21, 22], 3], [2, [30], [31], 3]])
    settings = FORMS[name].settings()
    columns = corrupted(name, whole, settings)
    for column in columns.values():
        (column.values if isinstance(column, Ragged) else column).setflags(write=False)
    restored = OBJECTIVES[name].restore(columns, settings, BERT)

    assert np.array_equal(restored.ids, whole.ids)
    again = OBJECTIVES[name].corrupt(restored, settings, BERT, keys_of(3))
    assert lists(again, "input_ids") == lists(columns, "input_ids")


@pytest.mark.parametrize("name", MASKED)
def test_another_key_chooses_other_tokens(name):
    row = [2, *([i] for i in range(10, 46)), 3]
    sequences = repeated(row, 200)
    a, b = (corrupted(name, sequences, seed=seed) for seed in (1, 2))
    pairs = zip(lists(a, "masked_positions"), lists(b, "masked_positions"), strict=True)

    assert sum(first == second for first, second in pairs) <= 2
    # Rows of one batch have keys of their own, too.
    assert len({tuple(row) for row in lists(a, "masked_positions")}) > 150


@pytest.mark.parametrize("name", MASKED)
def test_without_rows_or_tokens_there_is_nothing_to_do(name):
    none = check_masked(name, sequences_of([]), FORMS[name].settings())
    empty = check_masked(name, sequences_of([[], [2, 3], []]), FORMS[name].settings())

    assert all(len(column) == 0 for column in none.values())
    assert lists(empty, "masked_positions") == [[], [], []]


@pytest.mark.parametrize("name", MASKED)
def test_a_family_without_a_mask_token_is_refused(name):
    gpt2 = Vocabulary(family="gpt2", size=50, special=(0,), sep=0)
    settings = FORMS[name].settings()

    with pytest.raises(ValueError, match="family gpt2 has no mask token; families bert and rob"):
        OBJECTIVES[name].corrupt(sequences_of([[5, 6]], gpt2), settings, gpt2, keys_of(1))
    with pytest.raises(ValueError, match="needs a vocabulary of family bert or roberta, not gpt2"):
        check_fit(name, settings, SequenceSettings(length=128), gpt2)


@pytest.mark.parametrize("name", WORDED)
@given(data=st.data(), seed=seeds)
def test_k_is_a_ceiling_reached_as_far_as_words_go(name, data, seed):
    """No word is cut, no word that still fits is left, and no row is left empty."""
    sequences, settings = data.draw(worded()), data.draw(settings_for(name))
    columns = corrupted(name, sequences, settings, seed=seed)
    for words, positions, ids in zip(
        words_in(sequences),
        lists(columns, "masked_positions"),
        lists(columns, "input_ids"),
        strict=True,
    ):
        k = wanted(settings, len(ids))
        chosen = [(a, b) for a, b, _ in words if a in positions]
        left_out = [b - a for a, b, _ in words if a not in positions]
        shortest = min((b - a for a, b, _ in words), default=0)

        assert [t for a, b in chosen for t in range(a, b)] == positions
        if shortest > k:
            assert len(chosen) == 1
            assert len(positions) == shortest
        else:
            assert len(positions) <= k
            assert all(size > k - len(positions) for size in left_out)


@pytest.mark.parametrize("name", WORDED)
def test_of_several_shortest_words_each_is_taken_as_often(name):
    # k is 1 and no word fits; two have two tokens, one has three.
    row = [2, [10, 11], [12, 13, 14], [15, 16], 3]
    columns = corrupted(name, repeated(row, 4000))
    firsts = np.array([positions[0] for positions in lists(columns, "masked_positions")])

    assert set(columns["masked_positions"].lengths) == {2}
    assert set(firsts) == {1, 6}
    assert abs(np.mean(firsts == 1) - 0.5) < 5 * 0.5 / np.sqrt(4000)


@pytest.mark.parametrize("name", WORDED)
def test_a_word_never_continues_behind_a_special_token(name):
    # 12 is no word start, as after a cut; it stands behind a separator all the same.
    sequences = repeated([2, [10, 11], 3, [12], [13], 3], 500)
    sequences.word_start[4::7] = False
    columns = corrupted(name, sequences, FORMS[name].settings(mask_rate=Fraction("1/7")))

    assert {len(row) for row in lists(columns, "masked_positions")} == {1}
    assert {row[0] for row in lists(columns, "masked_positions")} == {4, 5}


@pytest.mark.parametrize("name", WORDED)
def test_every_token_of_a_unit_has_the_same_treatment_80_10_10(name):
    # Words of two tokens, so far apart that no n-gram or span joins two.
    words = [[100 + 2 * i, 101 + 2 * i] for i in range(40)]
    row = [2, *(piece for word in words for piece in (word, 3))]
    sequences = repeated(row, 4000, LARGE)
    columns = corrupted(name, sequences, vocabulary=LARGE)
    places = flat_positions(columns).reshape(-1, 2)
    found, labels = columns["input_ids"].values[places], sequences.ids[places]
    n = len(found)
    masked, kept = np.all(found == LARGE.mask, axis=1), np.all(found == labels, axis=1)
    random = found[~masked & ~kept]

    assert n == 4000 * 9  # 18 of 121 tokens
    assert np.all(np.any(found == LARGE.mask, axis=1) == masked)
    assert abs(masked.mean() - 0.8) < 5 * np.sqrt(0.16 / n)
    assert abs(kept.mean() - 0.1) < 5 * np.sqrt(0.09 / n)
    # Random tokens of a unit are drawn one by one: equal in 1 of 995 cases.
    assert abs(len(random) / n - 0.1) < 5 * np.sqrt(0.09 / n)
    assert np.mean(random[:, 0] == random[:, 1]) < 0.01
    assert np.mean(random == sequences.ids[places][~masked & ~kept]) < 0.01


@pytest.mark.parametrize("name", MASKED)
def test_random_tokens_are_uniform_over_the_vocabulary_without_special_tokens(name):
    row = [2, *([i] for i in range(10, 46)), 3]
    settings = FORMS[name].settings(
        mask_share=Fraction("0"), random_share=Fraction("1"), mask_rate=Fraction("1/2")
    )
    columns = corrupted(name, repeated(row, 4000), settings)
    found = columns["input_ids"].values[flat_positions(columns)]
    found = found[found != BERT.mask]  # InfoWord's n-grams
    counts = np.bincount(found, minlength=BERT.size)

    assert counts[:5].sum() == 0
    expected = len(found) / 45
    assert np.sum((counts[5:] - expected) ** 2 / expected) < 44 + 5 * np.sqrt(2 * 44)


@pytest.mark.parametrize("name", ["mlm", "whole-word"])
def test_each_place_is_chosen_as_often(name):
    words = [[10 + 2 * i, 11 + 2 * i] if name == "whole-word" else [10 + i] for i in range(12)]
    sequences = repeated([2, *words[:5], 3, *words[5:], 3], 20_000)
    columns = corrupted(name, sequences)
    counts = np.bincount(
        np.concatenate(lists(columns, "masked_positions")).astype(int), minlength=27
    )
    chosen = counts[np.flatnonzero(sequences.maskable[: sequences.offsets[1]])]
    share = chosen.sum() / 20_000 / len(chosen)

    assert np.all(abs(chosen / 20_000 - share) < 5 * np.sqrt(share * (1 - share) / 20_000))


@pytest.mark.parametrize(("name", "law"), [("ngram", {"ngram_max": 1}), ("span", {"span_max": 1})])
def test_runs_of_one_word_start_at_each_word_as_often_whatever_its_length(name, law):
    # k is 3: the row is used up by one long word, if that is the first to be drawn.
    words = [[10, 11, 12], [13], [14, 15, 16], [17], [18, 19, 20], [21], [22, 23, 24], [25]]
    sequences = repeated([2, *words, 3], 20_000)
    columns = corrupted(name, sequences, FORMS[name].settings(mask_rate=Fraction("1/6"), **law))
    first = [row[0] for row in lists(columns, "masked_positions") if row[2] - row[0] == 2]
    long = np.array([t for t in first if t in (1, 5, 9, 13)])
    counts = np.bincount(long, minlength=14)[[1, 5, 9, 13]]

    assert abs(len(long) / 20_000 - 1 / 2) < 5 * 0.5 / np.sqrt(20_000)
    assert np.all(abs(counts - 2500) < 5 * np.sqrt(20_000 / 8 * 7 / 8))
