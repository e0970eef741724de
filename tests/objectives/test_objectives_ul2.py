"""UL2: each denoiser with its own law and length, mixed by the weights."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import slow_denoising as slow
from denoising_examples import T5, UL2, bare, chi_square_fits, counting_rows, lists, ul2_vocabulary
from hypothesis import given
from hypothesis import strategies as st

from lmprep.keyed_random import key_for
from lmprep.objective_settings import DENOISERS, Ul2Settings
from lmprep.objectives import OBJECTIVES, check_fit
from lmprep.objectives.ul2 import corrupt, raw_lengths, restore, sizes
from lmprep.settings import SequenceSettings
from tests.strategies import keys_of, seeds

SETTINGS = Ul2Settings()
R, S, X = UL2.modes
KEY = key_for(5, "raw lengths")
MANY = ul2_vocabulary(sentinels=400, size=2000)


def only(denoiser):
    return Ul2Settings(weights=",".join("1" if i == denoiser else "0" for i in range(7)))


def mode_of(denoiser, vocabulary=UL2):
    return vocabulary.modes["RSX".index(DENOISERS[denoiser][0])]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6)), min_size=1, max_size=6), seeds)
def test_columns_equal_the_law_in_plain_words(shapes, seed):
    rows, denoisers = counting_rows([n for n, _ in shapes], 500), [d for _, d in shapes]
    keys = keys_of(len(rows), seed)
    columns = corrupt(bare(rows, denoiser=denoisers), SETTINGS, UL2, keys)
    expected = []
    for row, denoiser, key in zip(rows, denoisers, keys, strict=True):
        mode, mean, density = DENOISERS[denoiser]
        counts = slow.noise_and_spans(len(row), density, mean)
        mask = slow.span_mask(len(row), *counts, mode != "S", int(key))
        lead = [mode_of(denoiser)]
        expected.append(slow.splice(row, mask, UL2.sentinels, UL2.sep, lead=lead))

    assert lists(columns, "input_ids") == [inputs for inputs, _ in expected]
    assert lists(columns, "labels") == [labels for _, labels in expected]


def test_the_s_denoiser_hides_the_last_quarter_under_one_sentinel():
    columns = corrupt(bare([range(10, 18)], denoiser=[2]), SETTINGS, UL2, keys_of(1))

    assert lists(columns, "input_ids") == [[S, 10, 11, 12, 13, 14, 15, 999, 1]]
    assert lists(columns, "labels") == [[999, 16, 17, 1]]


def test_the_others_may_begin_and_end_anywhere():
    rows = 2000
    for denoiser in (0, 1, 3, 4, 5, 6):
        sequences = bare([range(10, 50)] * rows, denoiser=[denoiser] * rows)
        columns = corrupt(sequences, SETTINGS, UL2, keys_of(rows))
        opened = np.mean([row[1] == 999 for row in lists(columns, "input_ids")])
        closed = np.mean([row[-2] > 700 for row in lists(columns, "input_ids")])

        assert 0.02 < opened < 0.98
        assert 0.02 < closed < 0.98


@pytest.mark.parametrize("denoiser", range(7))
def test_each_denoiser_fills_the_length_exactly(denoiser):
    lengths, denoisers = raw_lengths(only(denoiser), UL2, 512, KEY, 20)
    sequences = bare(counting_rows(lengths, 500), denoiser=denoisers)
    columns = corrupt(sequences, SETTINGS, UL2, keys_of(20))

    assert set(denoisers.tolist()) == {denoiser}
    assert columns["input_ids"].lengths.tolist() == [512] * 20
    assert {row[0] for row in lists(columns, "input_ids")} == {mode_of(denoiser)}
    assert columns["labels"].lengths.max() <= 512
    assert max(sizes(denoiser, int(lengths[0]) + 1)) > 512


def test_raw_lengths_per_denoiser():
    # One token less of inputs than T5's: the mode token. (3, 0.15): 567 tokens, 85 noise, 28
    # spans; S: 679 tokens, 170 noise, a sentinel and two more: 512.
    lengths = [int(raw_lengths(only(d), UL2, 512, KEY, 1)[0][0]) for d in range(7)]

    assert lengths == [567, 587, 679, 765, 907, 599, 1004]


@pytest.mark.parametrize("weights", ["1,1,1,1,1,1,1", "0.5,0,2,1,0,1/3,0.25"])
def test_windows_have_denoisers_in_proportion_to_the_weights(weights):
    settings, rows = Ul2Settings(weights=weights), 70_000
    _, denoisers = raw_lengths(settings, UL2, 512, KEY, rows)
    counts = np.bincount(denoisers, minlength=7)
    shares = np.array([float(share) for share in settings.shares])
    used = shares > 0

    assert counts[~used].sum() == 0
    assert chi_square_fits(counts[used], rows * shares[used] / shares.sum())


def test_a_window_has_the_same_denoiser_however_many_are_asked_for():
    few, many = (raw_lengths(SETTINGS, UL2, 512, KEY, rows) for rows in (10, 1000))
    other = raw_lengths(SETTINGS, UL2, 512, key_for(6, "raw lengths"), 1000)

    assert np.array_equal(few[0], many[0][:10])
    assert np.array_equal(few[1], many[1][:10])
    assert not np.array_equal(other[1], many[1])


@pytest.mark.parametrize("denoiser", range(7))
def test_restoring_gives_back_rows_of_every_length(denoiser):
    sequences = bare(counting_rows(range(1, 601), 500), denoiser=[denoiser] * 600)
    before = sequences.ids.copy()
    columns = corrupt(sequences, SETTINGS, MANY, keys_of(600))
    restored = restore({**columns, **sequences.provenance()}, SETTINGS, MANY)

    assert np.array_equal(sequences.ids, before)
    assert np.array_equal(restored.ids, before)
    assert np.array_equal(restored.offsets, sequences.offsets)
    assert np.array_equal(restored.denoiser, sequences.denoiser)


def test_rows_of_one_token_are_all_noise():
    columns = corrupt(bare([[7]] * 7, denoiser=range(7)), SETTINGS, UL2, keys_of(7))

    assert lists(columns, "input_ids") == [[mode_of(d), 999, 1] for d in range(7)]
    assert lists(columns, "labels") == [[999, 7, 1]] * 7


def test_too_few_sentinels_for_a_denoiser_of_some_weight_are_found_before_any_work():
    sequences = SequenceSettings(length=2048, sequences="packed")
    with pytest.raises(
        ValueError, match=r"denoiser X \(mean span length 3, density 0.5\)"
    ) as found:
        check_fit("ul2", SETTINGS, sequences, UL2)
    assert "--sentinels 511 would do, or weights with 0 for denoiser 4 of 7" in str(found.value)

    check_fit("ul2", Ul2Settings(weights="1,1,1,0,1,1,1"), sequences, UL2)
    check_fit("ul2", SETTINGS, SequenceSettings(length=512, sequences="packed"), UL2)


def test_a_vocabulary_without_mode_tokens_is_refused():
    with pytest.raises(ValueError, match="--family ul2"):
        raw_lengths(SETTINGS, T5, 512, KEY, 1)


def test_sequences_without_denoisers_are_refused():
    with pytest.raises(ValueError, match="denoiser each"):
        corrupt(bare([[5, 6]]), SETTINGS, UL2, keys_of(1))


def test_weights_that_sum_to_nothing_are_refused():
    with pytest.raises(ValueError, match=r"sum to nothing.*1,1,1,1,1,1,1"):
        Ul2Settings(weights="0,0,0,0,0,0,0")


def test_the_table_knows_ul2():
    assert OBJECTIVES["ul2"].frame == "bare"
    assert DENOISERS[2] == ("S", 0, Fraction(1, 4))
