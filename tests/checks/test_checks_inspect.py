"""Rows as records: the role of every token, its target, and what the facts mean."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models

from lmprep.checks.inspect import Describer, Pieces, Row, explain
from lmprep.objective_settings import BartSettings, MlmSettings, T5Settings, Ul2Settings
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary
from tests.strategies import BERT

T5 = Vocabulary(
    family="t5", size=20, special=(0, 1, 2, 17, 18, 19), pad=0, sep=1, unk=2, sentinels=(19, 18, 17)
)
ROBERTA = Vocabulary(
    family="roberta", size=20, special=(0, 1, 2, 3, 4), cls=0, pad=1, sep=2, unk=3, mask=4
)


def tokenizer(special: dict[int, str], size: int = 50) -> Tokenizer:
    """Ids with these names, and w5, w6, ... for the others."""
    names = {special.get(i, f"w{i}"): i for i in range(size)}
    return Tokenizer(models.WordLevel(names, unk_token=special.get(1, "w1")))


BERT_NAMES = tokenizer({0: "[PAD]", 1: "[UNK]", 2: "[CLS]", 3: "[SEP]", 4: "[MASK]"})
T5_NAMES = tokenizer({0: "<pad>", 1: "</s>", 2: "<unk>", 17: "<Z>", 18: "<Y>", 19: "<X>"}, 20)


def lists(**columns: list[int]) -> dict[str, Ragged]:
    return {name: Ragged.from_rows([values], np.int32) for name, values in columns.items()}


def described(objective, settings, vocabulary, names, columns) -> Row:
    (row,) = Describer(objective, settings, vocabulary, names).rows(columns, [7])
    assert row.number == 7
    assert row.objective == objective
    return row


def roles(tokens) -> list[tuple[str, str]]:
    return [(token.text, token.role) for token in tokens]


def test_masked_random_and_kept_tokens_are_told_apart_and_carry_their_targets():
    columns = lists(
        input_ids=[2, 5, 4, 9, 8, 1, 3], masked_positions=[2, 3, 4], masked_labels=[6, 7, 8]
    )
    row = described("mlm", MlmSettings(), BERT, BERT_NAMES, columns)

    assert roles(row.inputs) == [
        ("[CLS]", "special"), ("w5", "text"), ("[MASK]", "masked"), ("w9", "random"),
        ("w8", "kept"), ("[UNK]", "text"), ("[SEP]", "special"),
    ]  # fmt: skip
    assert [token.target for token in row.inputs] == [None, None, "w6", "w7", "w8", None, None]
    assert row.targets == ()
    assert row.scored == 3


def test_the_second_segment_begins_behind_the_first_separator():
    columns = lists(input_ids=[2, 5, 3, 6, 3], masked_positions=[], masked_labels=[])
    columns["first_segment_length"] = np.array([3], np.int32)
    row = described("mlm", MlmSettings(), BERT, BERT_NAMES, columns)

    assert [token.segment for token in row.inputs] == [0, 0, 0, 1, 1]


def test_further_documents_of_a_packed_row_are_marked():
    columns = lists(input_ids=[2, 5, 3, 6, 3], document_starts=[3])
    row = described("bilm", None, BERT, BERT_NAMES, columns)

    assert [token.begins for token in row.inputs] == [False, False, False, True, False]


def test_sentinels_stand_in_inputs_and_targets():
    columns = lists(input_ids=[5, 19, 8, 1], labels=[19, 6, 7, 1])
    row = described("t5", T5Settings(), T5, T5_NAMES, columns)

    assert roles(row.inputs) == [
        ("w5", "text"), ("<X>", "sentinel"), ("w8", "text"), ("</s>", "special"),
    ]  # fmt: skip
    assert roles(row.targets) == [
        ("<X>", "sentinel"), ("w6", "text"), ("w7", "text"), ("</s>", "special"),
    ]  # fmt: skip


@pytest.mark.parametrize("noise", ["bert-style", "mass"])
def test_targets_of_equal_length_lie_under_the_inputs(noise):
    columns = lists(input_ids=[5, 19, 9, 8, 1], labels=[5, 6, 7, 8, 1])
    row = described("t5", T5Settings(noise=noise), T5, T5_NAMES, columns)

    assert [(token.role, token.target) for token in row.inputs] == [
        ("text", None), ("masked", "w6"), ("random", "w7"), ("text", None), ("special", None),
    ]  # fmt: skip
    assert row.targets == ()


def test_what_bart_lost_is_noise_in_the_targets():
    names = tokenizer({0: "<s>", 1: "<pad>", 2: "</s>", 3: "<unk>", 4: "<mask>"}, 20)
    columns = lists(input_ids=[0, 5, 4, 8, 2], labels=[0, 5, 6, 7, 8, 2], noise_positions=[2, 3])
    row = described("bart", BartSettings(), ROBERTA, names, columns)

    assert [token.role for token in row.inputs] == ["special", "text", "masked", "text", "special"]
    assert [token.role for token in row.targets] == [
        "special", "text", "noise", "noise", "text", "special",
    ]  # fmt: skip


def test_a_count_of_two_words_is_a_row_of_its_own():
    columns = {
        "word": np.array([5], np.int32),
        "context": np.array([6], np.int32),
        "weight": np.array([1.5], np.float32),
    }
    row = described("cooccurrence", None, BERT, BERT_NAMES, columns)

    assert (row.inputs[0].text, row.targets[0].text, row.facts["weight"]) == ("w5", "w6", 1.5)


def test_facts_in_words():
    columns = {
        **lists(input_ids=[5, 1], labels=[1]),
        "document": np.array([(3 << 40) | 12]),
        "first_sentence": np.array([4], np.int32),
        "denoiser": np.array([6], np.int8),
    }
    row = described("ul2", Ul2Settings(), T5, T5_NAMES, columns)

    assert row.facts["document"] == (3 << 40) | 12
    assert explain(row.facts) == [
        "document 12 of source 3, sentence 4",
        "denoiser 6: X span 64, density 0.5",
    ]
    assert explain({"next_sentence_label": 1}) == ["next_sentence_label 1: B is from elsewhere"]
    assert explain({"sentence_order_label": 0}) == ["sentence_order_label 0: in order"]
    assert explain({"second_document": 2, "second_sentence": 5}) == ["B: document 2, sentence 5"]
    assert explain({"span_starts": [4], "span_lengths": [2]}) == ["span of 2 at 4"]
    assert explain({"span_starts": [4, 9], "span_lengths": [2, 1]}) == ["2 spans"]


def byte_level(pieces: list[str]) -> Pieces:
    spec = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(pieces)}, pieces[0]))
    spec.decoder = decoders.ByteLevel()
    return Pieces(spec)


def test_byte_level_pieces_are_shown_as_their_text():
    pieces = byte_level(["ĠcafÃ©", "Ãī", "Ã", "Ċ", "Ġ"])

    assert [pieces[i] for i in range(5)] == ["Ġcafé", "É", "Ã", "\\n", "Ġ"]


def test_control_characters_do_not_reach_the_terminal():
    names = Tokenizer(models.WordLevel({"a\x1b[31m": 0, "\u202e": 1}, "a\x1b[31m"))

    assert Pieces(names)[0] == "a\\x1b[31m"
    assert Pieces(names)[1] == "\\u202e"
    assert Pieces(names)[9] == "<9>"
