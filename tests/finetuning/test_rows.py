"""Texts and words as rows: special tokens, cuts, and which token is of which word."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmprep.finetuning.rows import Batch, inputs_of, rows_of, rows_of_groups
from lmprep.finetuning.word_rows import NO_WORD, by_word, inside_words, labels_by_row, word_rows
from lmprep.models.settings import model_settings
from lmprep.ragged import Ragged, offsets_of
from lmprep.vocabulary import Vocabulary
from tests.finetuning.tokenizers_for_tests import encoder_of, of_characters, wordpiece

VOCABULARIES = {
    "bert": Vocabulary(family="bert", size=100, special=(0, 1, 2), pad=0, cls=1, sep=2),
    "roberta": Vocabulary(family="roberta", size=100, special=(0, 1, 2), pad=0, cls=1, sep=2),
    "gpt2": Vocabulary(family="gpt2", size=100, special=(2,), sep=2),
    "t5": Vocabulary(family="t5", size=100, special=(0, 2), pad=0, sep=2),
}
EXPECTED = {
    "bert": ([1, 10, 11, 2], [1, 10, 11, 2, 20, 2], 4),
    "roberta": ([1, 10, 11, 2], [1, 10, 11, 2, 2, 20, 2], 5),
    "gpt2": ([10, 11, 2], [10, 11, 2, 20, 2], 3),
    "t5": ([10, 11, 2], [10, 11, 2, 20, 2], 3),
}


@pytest.mark.parametrize("family", VOCABULARIES)
def test_rows_have_the_special_tokens_of_their_family(family):
    first, second = Ragged.from_rows([[10, 11]], np.int32), Ragged.from_rows([[20]], np.int32)
    single, pair, length = EXPECTED[family]
    one = rows_of(first, None, VOCABULARIES[family], 20)
    two = rows_of(first, second, VOCABULARIES[family], 20)

    assert one.ids[0].tolist() == single
    assert two.ids[0].tolist() == pair
    assert two.first_lengths.tolist() == two.second_places.tolist() == [length]
    assert not one.notes
    assert not two.notes


@given(a=st.integers(0, 12), b=st.integers(0, 12), length=st.integers(6, 20), pair=st.booleans())
def test_rows_fit_and_the_longer_text_loses_its_end_first(a, b, length, pair):
    first = Ragged.from_rows([list(range(10, 10 + a))], np.int32)
    second = Ragged.from_rows([list(range(50, 50 + b))], np.int32) if pair else None
    rows = rows_of(first, second, VOCABULARIES["bert"], length)
    kept_a, kept_b = a, b if pair else 0
    while kept_a + kept_b > length - (3 if pair else 2):  # BERT's loop
        if kept_a > kept_b:
            kept_a -= 1
        else:
            kept_b -= 1
    ids = [1, *range(10, 10 + kept_a), 2]
    ids += [*range(50, 50 + kept_b), 2] if pair else []

    found = rows.ids[0].tolist()
    assert len(found) == len(ids) <= length
    if abs(a - b) > 1 or a + b <= length - 3:  # of a tie it does not matter which one goes
        assert sorted(found)[-1:] == sorted(ids)[-1:]
    assert bool(rows.notes) == (kept_a < a or kept_b < (b if pair else 0))
    assert all(n in ids or n == found[rows.second_places[0] - 2] for n in found[1:-1]) or pair


def test_inputs_are_padded_and_know_types_and_lengths():
    first = Ragged.from_rows([[10], [10, 11, 12]], np.int32)
    second = Ragged.from_rows([[20, 21], [22]], np.int32)
    rows = rows_of(first, second, VOCABULARIES["bert"], 20)
    bert = model_settings("bert-tiny", vocabulary_size=100)
    inputs, lengths = inputs_of(rows, np.array([1, 0]), bert, 0, torch.device("cpu"))

    assert inputs.ids_BL.tolist() == [[1, 10, 11, 12, 2, 22, 2], [1, 10, 2, 20, 21, 2, 0]]
    assert inputs.types_BL.tolist() == [[0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1, 0]]
    assert lengths.tolist() == inputs.lengths_B.tolist() == [7, 6]
    roberta = model_settings("roberta-tiny", vocabulary_size=100)
    assert inputs_of(rows, np.array([0]), roberta, 0, torch.device("cpu"))[0].types_BL is None


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return of_characters(["abcdefghijklmnopqrstuvwxyz"], tmp_path_factory.mktemp("tok"))


WORDS = st.lists(st.text(alphabet="abc\u200d", min_size=1, max_size=5), min_size=1, max_size=9)


@settings(max_examples=60)
@given(sentences=st.lists(WORDS, min_size=1, max_size=4), length=st.integers(4, 12))
def test_every_word_has_a_first_token_in_exactly_one_row(encoder, sentences, length):
    rows = word_rows(sentences, encoder, length)
    words = [len(sentence) for sentence in sentences]
    first, word_at = rows.targets["first_token"], rows.targets["word_at"]

    assert rows.lengths.max() <= length
    seen = [
        (int(sentence), int(rows.targets["first_word"][row]) + word)
        for row, sentence in enumerate(rows.examples)
        for word in range(len(first[row]))
    ]
    assert seen == [(s, w) for s, count in enumerate(words) for w in range(count)]
    for row in range(len(rows.ids)):
        at = word_at[row]
        assert at[0] == at[-1] == NO_WORD
        assert at[first[row]].tolist() == list(range(len(first[row])))
        assert (np.diff(at[1:-1]) >= 0).all()
        # Characters are tokens: nothing is lost but what does not fit.
        for word, place in enumerate(first[row]):
            text = sentences[rows.examples[row]][rows.targets["first_word"][row] + word]
            letters = max(1, len(text.replace("\u200d", "")))
            assert (at == word).sum() == min(letters, length - 2)
            assert place == np.flatnonzero(at == word)[0]


def test_a_word_of_nothing_becomes_unknown_and_long_sentences_are_counted(encoder):
    rows = word_rows([["ab", "\u200d", "c"], ["abcdef", "ab"]], encoder, 6)

    # [UNK] is 1; 4 tokens fit: the first sentence is a b [UNK] c, the second is cut in two.
    assert rows.ids[0].tolist()[3] == encoder.unknown == 1
    assert rows.examples.tolist() == [0, 1, 1]
    assert rows.notes == {
        "sentences cut into pieces of 6 tokens": 1,
        "words cut to 4 sub-words": 1,
    }


def test_labels_follow_their_words_into_pieces(encoder):
    sentences = [["ab", "c"], ["abc", "ab", "c"]]
    rows = word_rows(sentences, encoder, 6)
    labels = labels_by_row(rows, offsets_of([2, 3]), np.arange(5))

    assert [list(row) for row in labels] == [[0, 1], [2], [3, 4]]


def batch_of(rows):
    chosen = np.arange(len(rows.ids))
    bert = model_settings("bert-tiny", vocabulary_size=100)
    inputs, lengths = inputs_of(rows, chosen, bert, 0, torch.device("cpu"))
    return Batch(
        rows=rows, chosen=chosen, groups=chosen, inputs=inputs, features=None, lengths_B=lengths
    )


def test_a_word_is_its_first_sub_word_or_the_mean_or_maximum_of_all(encoder):
    batch = batch_of(word_rows([["ab", "c"], ["abc"]], encoder, 20))
    x_BL1 = torch.tensor([[9.0, 1, 3, 5, 9], [9, 2, 8, 5, 9]])[:, :, None]

    inside = inside_words(batch)
    assert inside.tolist() == [[True, True], [True, False]]
    for decide, values in (("first", [1, 5, 2]), ("mean", [2, 5, 5]), ("max", [3, 5, 8])):
        assert by_word(x_BL1, batch, decide)[..., 0][inside].tolist() == values


def test_offsets_of_words_hold_for_lower_case_and_accents(tmp_path):
    encoder = encoder_of(wordpiece(["cafe", "un", "##s", "!"], tmp_path / "t", lowercase=True))
    ids, words = encoder.words([["CAFÉ", "uns!", "\u0301"], ["un", "Café"]])

    assert ids.lengths.tolist() == [5, 2]
    assert words.tolist() == [0, 1, 1, 1, 2, 0, 1]


def test_text_that_looks_like_a_special_token_is_text(encoder):
    ids = encoder.texts(["[SEP]"]).ids.values

    assert not set(ids.tolist()) & {0, 2, 3, 4}


def test_groups_bring_their_rows():
    rows = rows_of(Ragged.from_rows([[9]] * 5, np.int32), None, VOCABULARIES["bert"], 9)
    grouped = type(rows)(**{**rows.__dict__, "groups": np.array([0, 2, 5])})

    assert rows_of_groups(grouped, np.array([1, 0])).tolist() == [2, 3, 4, 0, 1]
