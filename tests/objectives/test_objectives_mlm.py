"""Masked language modelling: counts exact, treatment 80/10/10, and nothing lost."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.objective_settings import MlmSettings
from lmprep.objectives.mlm import corrupt, prediction_counts, restore
from lmprep.vocabulary import Vocabulary
from tests.strategies import BERT, keys_of, ragged_ids, seeds, sequences_of
from tests.test_keyed_random import spec_below

LARGE = Vocabulary(
    family="bert", size=1000, special=(0, 1, 2, 3, 4), pad=0, unk=1, cls=2, sep=3, mask=4
)
rates = st.fractions(Fraction(1, 100), 1, max_denominator=100)


def slow_corrupt(row, settings, vocabulary, key):
    """The law in plain words, one row at a time."""
    maskable = [i for i, token in enumerate(row) if vocabulary.maskable[token]]
    wanted = max(1, round(settings.mask_rate * len(row)))  # Fraction rounds half to even
    missing = k = min(len(maskable), wanted)
    chosen = []
    for n, i in enumerate(maskable):
        if missing and spec_below(len(maskable) - n, key, 3 * i) < missing:
            chosen.append(i)
            missing -= 1
    assert len(chosen) == k
    out, pool = list(row), vocabulary.replacements
    whole = np.lcm(settings.mask_share.denominator, settings.random_share.denominator)
    for i in chosen:
        treatment = spec_below(int(whole), key, 3 * i + 1)
        if treatment < settings.mask_share * whole:
            out[i] = vocabulary.mask
        elif treatment < (settings.mask_share + settings.random_share) * whole:
            out[i] = int(pool[spec_below(len(pool), key, 3 * i + 2)])
    return out, chosen, [row[i] for i in chosen]


def lists(columns, name):
    return [row.tolist() for row in columns[name]]


@given(ragged_ids(), rates, seeds)
def test_the_kernels_equal_the_law_in_plain_words(rows, rate, seed):
    settings = MlmSettings(mask_rate=rate)
    keys = keys_of(len(rows), seed)
    columns = corrupt(sequences_of(rows), settings, BERT, keys)
    expected = [
        slow_corrupt(row, settings, BERT, int(key)) for row, key in zip(rows, keys, strict=True)
    ]

    assert lists(columns, "input_ids") == [row for row, _, _ in expected]
    assert lists(columns, "masked_positions") == [positions for _, positions, _ in expected]
    assert lists(columns, "masked_labels") == [labels for _, _, labels in expected]


@given(ragged_ids(), seeds)
def test_restoring_gives_the_sequences_back_and_leaves_the_input_alone(rows, seed):
    sequences = sequences_of(rows)
    before = sequences.ids.copy()
    columns = corrupt(sequences, MlmSettings(), BERT, keys_of(len(rows), seed))
    restored = restore({**columns, **sequences.provenance()}, MlmSettings(), BERT)

    assert np.array_equal(sequences.ids, before)
    assert np.array_equal(restored.ids, before)
    assert np.array_equal(restored.maskable, sequences.maskable)
    assert np.array_equal(restored.document, sequences.document)


@pytest.mark.parametrize(
    ("length", "expected"), [(128, 19), (256, 38), (512, 77), (7, 1), (3, 1), (10, 2), (30, 4)]
)
def test_the_number_of_predictions_is_berts(length, expected):
    # 10 tokens: 1.5 rounds to the even 2; 30 tokens: 4.5 rounds to the even 4.
    rows = [[2, *range(5, 5 + length - 2), 3]]

    assert prediction_counts(sequences_of(rows, LARGE), MlmSettings()).tolist() == [expected]


def test_a_row_of_special_tokens_has_nothing_to_predict():
    columns = corrupt(sequences_of([[2, 3], [2, 1, 3]]), MlmSettings(), BERT, keys_of(2))

    # [UNK] may be masked; [CLS] and [SEP] never.
    assert lists(columns, "masked_positions") == [[], [1]]


def test_treatment_is_80_10_10_and_positions_are_uniform():
    ids = np.arange(5, 1000)
    rows = [[2, *np.roll(ids, i)[:126], 3] for i in range(5000)]
    sequences = sequences_of(rows, LARGE)
    columns = corrupt(sequences, MlmSettings(), LARGE, keys_of(len(rows)))
    positions, labels = columns["masked_positions"], columns["masked_labels"].values
    flat = positions.values + np.repeat(np.arange(5000) * 128, 19)
    found = columns["input_ids"].values[flat]
    n = len(labels)
    masked, kept = np.mean(found == 4), np.mean(found == labels)
    random = found[(found != 4) & (found != labels)]
    deciles = np.bincount((positions.values - 1) * 9 // 126, minlength=9)

    assert n == 5000 * 19
    assert abs(masked - 0.8) < 5 * np.sqrt(0.8 * 0.2 / n)
    assert abs(kept - (0.1 + 0.1 / 995)) < 5 * np.sqrt(0.09 / n)
    assert random.min() >= 5
    assert len(np.unique(random)) > 950
    assert np.all(abs(deciles - n / 9) < 5 * np.sqrt(n / 9))


def test_other_shares_are_kept():
    settings = MlmSettings(mask_share=Fraction(0), random_share=Fraction(1, 2))
    rows = [[2, *range(5, 45), 3]] * 2000
    columns = corrupt(sequences_of(rows), settings, BERT, keys_of(2000))
    changed = np.mean(columns["input_ids"].values != sequences_of(rows).ids)

    assert not np.any(columns["input_ids"].values == 4)
    assert abs(changed - 6 / 42 / 2 * 44 / 45) < 0.01


def test_a_family_without_a_mask_token_is_refused():
    gpt2 = Vocabulary(family="gpt2", size=50, special=(0,), sep=0)

    with pytest.raises(ValueError, match="no mask token"):
        corrupt(sequences_of([[5, 6]], gpt2), MlmSettings(), gpt2, keys_of(1))
