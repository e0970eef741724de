"""The textbook's layouts, worked by hand: NSP, SOP, MLM with NSP, and each family's template."""

import numpy as np
import pytest
from sequence_examples import CLS, FAMILIES, SEP, numbered, rows_of, settings_of

from lmprep.objective_settings import MlmSettings
from lmprep.objectives import OBJECTIVES
from lmprep.ragged import Ragged
from lmprep.sequences import make_sequences
from tests.strategies import BERT, ROBERTA

MASK = BERT.mask
# Two sentences of one document, of five and three tokens, and one of another document.
SHAPE = [[5, 3], [4]]
A, B, C = list(range(10, 15)), list(range(15, 18)), list(range(18, 22))


def first_pair(shape, pairs, label, *, length=40, vocabulary=BERT):
    """The sequences of the first key whose first pair has this label."""
    settings = settings_of(length, pairs=pairs)
    for key in range(100):
        sequences, _ = make_sequences(numbered(shape), settings, vocabulary, np.uint64(key))
        labels = sequences.next_sentence_label if pairs == "nsp" else sequences.sentence_order_label
        if len(sequences) and labels[0] == label:
            return sequences
    pytest.fail(f"no key of 100 drew a first pair with label {label}")


def segment_ids(sequences):
    """Those of the first pair: 0 up to and with the first separator, then 1."""
    length, first = len(rows_of(sequences)[0]), int(sequences.first_segment_length[0])
    return [0] * first + [1] * (length - first)


@pytest.mark.parametrize(("label", "second"), [(0, B), (1, C)])
def test_next_sentence_prediction(label, second):
    sequences = first_pair(SHAPE, "nsp", label)

    assert rows_of(sequences)[0] == [CLS, *A, SEP, *second, SEP]
    assert segment_ids(sequences) == [0] * (1 + 5 + 1) + [1] * (len(second) + 1)
    assert sequences.document[0] == 100
    assert sequences.second_document[0] == (100 if label == 0 else 101)


@pytest.mark.parametrize(("label", "first", "second"), [(0, A, B), (1, B, A)])
def test_sentence_order_prediction(label, first, second):
    sequences = first_pair(SHAPE, "sop", label)

    assert rows_of(sequences)[0] == [CLS, *first, SEP, *second, SEP]
    assert segment_ids(sequences) == [0] * (len(first) + 2) + [1] * (len(second) + 1)
    assert sequences.first_sentence[0] == label
    assert sequences.second_sentence[0] == 1 - label


def test_masked_tokens_and_next_sentence_together():
    # Seven tokens and seven that follow; one is hidden in each, at places 5 and 10 of the row.
    sequences = first_pair([[7, 7], [2]], "nsp", 0)
    row = rows_of(sequences)[0]
    assert row == [CLS, *range(10, 17), SEP, *range(17, 24), SEP]
    hidden = [MASK if place in (5, 10) else i for place, i in enumerate(row)]
    columns = {
        "input_ids": Ragged.from_rows([hidden], np.int32),
        "masked_positions": Ragged.from_rows([[5, 10]], np.int32),
        "masked_labels": Ragged.from_rows([[14, 18]], np.int32),
        **{name: column[:1] for name, column in sequences.provenance().items()},
    }

    restored = OBJECTIVES["mlm"].restore(columns, MlmSettings(), BERT)

    assert rows_of(restored) == [row]
    assert restored.next_sentence_label.tolist() == [0]
    assert restored.first_segment_length.tolist() == [9]


@pytest.mark.parametrize(("vocabulary", "between"), [(BERT, [SEP]), (ROBERTA, [SEP, SEP])])
def test_the_families_templates_of_one_text_and_of_two(vocabulary, between):
    single, _ = make_sequences(numbered([[5]]), settings_of(8), vocabulary, np.uint64(0))
    pair = first_pair([[5, 3]], "sop", 0, vocabulary=vocabulary)

    assert rows_of(single) == [[CLS, *A, SEP]]
    assert rows_of(pair) == [[CLS, *A, *between, *B, SEP]]
    assert pair.first_segment_length.tolist() == [7]


@pytest.mark.parametrize("family", ["gpt2", "t5", "ul2"])
def test_the_other_families_templates_are_a_text_and_its_end(family):
    vocabulary = FAMILIES[family]
    sequences, _ = make_sequences(
        numbered([[5]]), settings_of(8), vocabulary, np.uint64(0), frame="ended"
    )

    assert rows_of(sequences) == [[*A, vocabulary.sep]]


def test_the_longest_pair_fills_its_length():
    for vocabulary, specials in ((BERT, 3), (ROBERTA, 4)):
        sequences = first_pair([[3, 5]], "sop", 0, length=8, vocabulary=vocabulary)
        assert [len(row) for row in rows_of(sequences)] == [8]
        assert int(np.sum(~sequences.maskable)) == specials
