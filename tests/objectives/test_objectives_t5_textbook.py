"""T5's table of objectives on one sentence, the masks given: what a textbook would print."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from denoising_examples import (
    END,
    NAMES,
    SENTENCE,
    T5,
    bare,
    in_words,
    lists,
    mask_of,
    t5_vocabulary,
    text,
)

from lmprep.objective_settings import NOISES as NAMES_OF_NOISES
from lmprep.objective_settings import T5Settings
from lmprep.objectives.t5 import NOISES, corrupt
from lmprep.objectives.t5.hiding import hide
from lmprep.objectives.t5.prefix_lm import suffix_mask
from lmprep.objectives.t5.sentinels import splice
from lmprep.objectives.t5.separation import separate
from tests.strategies import keys_of

RUNS, SINGLE = mask_of(3, 4, 5, 7, 8, 9), mask_of(3, 4, 9)


def spliced(mask, **options):
    inputs, targets = splice(text([SENTENCE]), mask, T5, **options)
    return in_words(inputs[0]), in_words(targets[0])


def test_random_spans():
    assert spliced(RUNS) == (
        "The old X small Y today . </s>",
        "X boat left the Y harbour before dawn </s>",
    )


def test_random_spans_with_the_closing_sentinel_of_the_papers_table():
    assert spliced(RUNS, final_sentinel=True) == (
        "The old X small Y today . </s>",
        "X boat left the Y harbour before dawn Z </s>",
    )


def test_replaced_spans():
    assert spliced(SINGLE) == (
        "The old X the small harbour before Y today . </s>",
        "X boat left Y dawn </s>",
    )
    assert spliced(SINGLE, final_sentinel=True)[1] == "X boat left Y dawn Z </s>"


def test_a_row_that_begins_with_noise_has_the_same_sentinels_on_both_sides():
    assert spliced(mask_of(1, 9)) == (
        "X old boat left the small harbour before Y today . </s>",
        "X The Y dawn </s>",
    )


def test_dropped_tokens():
    inputs, labels, positions = separate(text([SENTENCE]), SINGLE, END)

    assert in_words(inputs[0]) == "The old the small harbour before today . </s>"
    assert in_words(labels[0]) == "boat left dawn </s>"
    assert positions[0].tolist() == [2, 3, 8]


def test_mass_style_hides_each_token_and_predicts_all():
    columns = hide(text([SENTENCE]), SINGLE, Fraction(0), T5, keys_of(1))

    assert (
        in_words(columns["input_ids"][0]) == "The old X X the small harbour before X today . </s>"
    )
    assert columns["labels"][0].tolist() == [*SENTENCE, END]


def test_bert_style_hides_each_token_or_puts_a_random_one_in_its_place():
    # 'apple' is the only ordinary id beside the sentence's own pieces that this vocabulary has.
    tiny = t5_vocabulary(sentinels=2, size=6)
    apple = 3
    assert tiny.replacements.tolist() == [apple]
    names = {**NAMES, tiny.sentinels[0]: "M", apple: "apple"}
    share = Fraction(1, 10)
    inputs = {
        " ".join(names[token] for token in hide(text([SENTENCE]), SINGLE, share, tiny, key)
                 ["input_ids"][0].tolist())
        for key in (keys_of(1, seed) for seed in range(300))
    }  # fmt: skip

    assert "The old M M the small harbour before apple today . </s>" in inputs
    assert len(inputs) == 8  # each of the three is hidden or replaced, and nothing else happens


def test_prefix_language_modelling():
    mask = suffix_mask(np.array([0, 11]), np.array([4]))
    inputs, labels, _ = separate(text([SENTENCE]), mask, END)

    assert in_words(inputs[0]) == "The old boat left </s>"
    assert in_words(labels[0]) == "the small harbour before dawn today . </s>"


def test_deshuffling_predicts_eleven_tokens_from_the_same_eleven():
    columns = corrupt(bare([SENTENCE]), T5Settings(noise="deshuffle"), T5, keys_of(1))
    inputs, labels = columns["input_ids"][0].tolist(), columns["labels"][0].tolist()

    assert labels == [*SENTENCE, END]
    assert inputs != labels
    assert inputs[-1] == END
    assert sorted(inputs[:-1]) == SENTENCE


def test_the_golden_vector_of_the_reference_tests():
    # Sentinels from 999 down; noise T T F F T F.
    row, mask = [10, 11, 12, 13, 14, 15], np.array([1, 1, 0, 0, 1, 0], bool)
    inputs, targets = splice(text([row]), mask, T5)
    kept, dropped, _ = separate(text([row]), mask, END)
    hidden = hide(text([row]), mask, Fraction(0), T5, keys_of(1))

    assert inputs[0].tolist() == [999, 12, 13, 998, 15, END]
    assert targets[0].tolist() == [999, 10, 11, 998, 14, END]
    assert kept[0].tolist() == [12, 13, 15, END]
    assert dropped[0].tolist() == [10, 11, 14, END]
    assert lists(hidden, "input_ids") == [[999, 999, 12, 13, 999, 15, END]]


def test_the_table_has_a_row_for_each_name_that_settings_know():
    assert tuple(NOISES) == NAMES_OF_NOISES


def test_more_runs_than_sentinels_are_refused_before_anything_is_written():
    with pytest.raises(ValueError, match="needs 3 sentinels; this vocabulary has 2"):
        splice(text([SENTENCE]), RUNS, t5_vocabulary(sentinels=2), final_sentinel=True)
