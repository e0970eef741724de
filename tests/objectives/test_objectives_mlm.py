"""Masked language modelling: counts exact, treatment 80/10/10, one treatment for each token."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from masked_examples import LARGE, lists, rates

from lmprep.objective_settings import MlmSettings
from lmprep.objectives.counting import rounded_share, wanted_predictions
from lmprep.objectives.masking import FIRST, mask_chosen
from lmprep.objectives.mlm import corrupt
from lmprep.vocabulary import Vocabulary
from tests.strategies import BERT, keys_of, sequences_of

# Each treatment alone.
MASKED = MlmSettings(mask_share=Fraction(1), random_share=Fraction(0))
RANDOM = MlmSettings(mask_share=Fraction(0), random_share=Fraction(1))
KEPT = MlmSettings(mask_share=Fraction(0), random_share=Fraction(0))


def in_words(text):
    """One sequence of these words, and the vocabulary of BERT's special tokens and these words."""
    words = text.split()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(words), "driving"]
    vocabulary = Vocabulary(
        family="bert", size=len(names), special=(0, 1, 2, 3, 4), pad=0, unk=1, cls=2, sep=3, mask=4
    )
    return sequences_of([[names.index(word) for word in words]], vocabulary), vocabulary, names


def treated(sequences, vocabulary, settings, chosen, seed=0):
    """The columns when the tokens at these positions of the only row are the chosen ones."""
    marks = np.zeros(len(sequences.ids), np.uint8)
    marks[chosen] = FIRST
    return mask_chosen(sequences, marks, settings, vocabulary, keys_of(1, seed))


def test_the_label_is_the_chosen_word_whatever_becomes_of_it():
    sequences, vocabulary, names = in_words("A grey cat quietly crossed the yard")
    crossed = names.index("crossed")
    outcomes = set()
    for settings in (MASKED, RANDOM, KEPT):
        columns = treated(sequences, vocabulary, settings, [4])
        before, after = sequences.ids.tolist(), columns["input_ids"].values.tolist()
        assert before[:4] + before[5:] == after[:4] + after[5:]
        assert columns["masked_positions"].values.tolist() == [4]
        assert columns["masked_labels"].values.tolist() == [crossed]
        outcomes.add(names[after[4]])

    assert wanted_predictions(sequences.offsets, MlmSettings().mask_rate).tolist() == [1]
    assert {"[MASK]", "crossed"} < outcomes
    assert len(outcomes) == 3


def test_a_masked_and_a_random_word_are_scored_and_no_other():
    text = "When the long night was over we could hardly begin the day in the morning !"
    sequences, vocabulary, names = in_words(text)
    wanted = text.replace("long", "[MASK]").replace("morning", "driving").split()
    found = (
        treated(sequences, vocabulary, MlmSettings(), [2, 14], seed) for seed in range(100_000)
    )
    columns = next(c for c in found if [names[i] for i in c["input_ids"].values] == wanted)

    assert columns["masked_positions"].values.tolist() == [2, 14]
    assert [names[i] for i in columns["masked_labels"].values] == ["long", "morning"]


@pytest.mark.parametrize(
    ("length", "expected"), [(128, 19), (256, 38), (512, 77), (7, 1), (3, 1), (10, 2), (30, 4)]
)
def test_the_number_of_predictions_is_berts(length, expected):
    # 10 tokens: 1.5 rounds to the even 2; 30 tokens: 4.5 rounds to the even 4.
    sequences = sequences_of([[2, *range(5, 5 + length - 2), 3]], LARGE)
    columns = corrupt(sequences, MlmSettings(), LARGE, keys_of(1))

    assert wanted_predictions(sequences.offsets, Fraction(15, 100)).tolist() == [expected]
    assert columns["masked_positions"].lengths.tolist() == [expected]


@given(rates)
def test_a_share_is_rounded_half_to_even(rate):
    lengths = np.array([*range(1000), 10**6 - 1, 10**6], np.int64)

    assert rounded_share(lengths, rate).tolist() == [round(rate * n) for n in lengths.tolist()]


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


def test_each_token_is_treated_by_itself():
    # Where two neighbours are chosen, both become masks as often as independent draws make it.
    sequences = sequences_of([[2, *range(10, 30), 3]] * 4000)
    settings = MlmSettings(mask_rate=Fraction(1))
    columns = corrupt(sequences, settings, BERT, keys_of(4000))
    masked = columns["input_ids"].values.reshape(4000, 22)[:, 1:21].reshape(-1, 2) == BERT.mask

    assert abs(np.mean(masked.all(axis=1)) - 0.64) < 5 * np.sqrt(0.64 * 0.36 / 40_000)


def test_other_shares_are_kept():
    settings = MlmSettings(mask_share=Fraction(0), random_share=Fraction(1, 2))
    rows = [[2, *range(5, 45), 3]] * 2000
    columns = corrupt(sequences_of(rows), settings, BERT, keys_of(2000))
    changed = np.mean(columns["input_ids"].values != sequences_of(rows).ids)

    assert not np.any(columns["input_ids"].values == 4)
    assert abs(changed - 6 / 42 / 2 * 44 / 45) < 0.01
