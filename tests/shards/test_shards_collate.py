"""Rows become the arguments of Hugging Face models."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
import torch

from lmprep.ragged import Ragged
from lmprep.shards.collate import Collator
from lmprep.shards.reader import Dataset
from tests.corpora import build_dataset, make_tokenizer, write_corpus
from tests.strategies import BERT, ROBERTA


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collate")
    corpus = write_corpus(folder / "corpus.txt", documents=20)
    tokenizer = make_tokenizer(corpus, folder / "tok")
    for pairs in ("nsp", "sop", "none"):
        build_dataset(corpus, tokenizer, folder / pairs, pairs=pairs)
    return folder


class Rows:
    vocabulary = BERT
    manifest = {"objective": "mlm"}  # noqa: RUF012


def test_a_hand_made_batch():
    columns = {
        "input_ids": Ragged.from_rows([[2, 7, 4, 3, 9, 3], [2, 4, 3, 8, 3]], np.int32),
        "masked_positions": Ragged.from_rows([[2, 4], [1]], np.int32),
        "masked_labels": Ragged.from_rows([[8, 9], [6]], np.int32),
        "first_segment_length": np.array([4, 3], np.int32),
        "sentence_order_label": np.array([0, 1], np.int8),
    }
    batch = Collator(Rows())(columns)

    assert {name: tensor.tolist() for name, tensor in batch.items()} == {
        "input_ids": [[2, 7, 4, 3, 9, 3], [2, 4, 3, 8, 3, 0]],
        "attention_mask": [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]],
        "token_type_ids": [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0]],
        "labels": [[-100, -100, 8, -100, 9, -100], [-100, 6, -100, -100, -100, -100]],
        "sentence_order_label": [0, 1],
    }
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_pairs_of_a_family_without_token_types_have_none():
    class Pairs:
        vocabulary = ROBERTA
        manifest = {"objective": "mlm"}  # noqa: RUF012

    columns = {
        "input_ids": Ragged.from_rows([[2, 7, 3, 3, 9, 3]], np.int32),
        "masked_positions": Ragged.from_rows([[1]], np.int32),
        "masked_labels": Ragged.from_rows([[8]], np.int32),
        "first_segment_length": np.array([3], np.int32),
    }

    assert "token_type_ids" not in Collator(Pairs())(columns)


@pytest.mark.parametrize("pairs", ["nsp", "sop", "none"])
def test_rows_as_dictionaries_give_the_same_batch(folder, pairs):
    dataset = Dataset(folder / pairs)
    collate = Collator(folder / pairs)
    from_columns = collate(dataset.rows(np.arange(9)))
    from_rows = collate([datasets.load_from_disk(folder / pairs)[i] for i in range(9)])

    assert set(from_columns) == set(from_rows)
    assert all(torch.equal(from_columns[name], from_rows[name]) for name in from_rows)


def test_an_objective_without_batches_is_refused():
    class Words:
        vocabulary = BERT
        manifest = {"objective": "skipgram"}  # noqa: RUF012

    with pytest.raises(ValueError, match="skipgram has no batches"):
        Collator(Words())({"input_ids": Ragged.from_rows([[5]], np.int32)})
