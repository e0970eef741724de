"""ELECTRA's stand-in for a generator, and what refuses to become dense."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from lmprep.errors import DatasetError
from lmprep.keyed_random import draw, integer_below
from lmprep.ragged import Ragged
from lmprep.shards.dense import dense_columns, padding_id, replace_tokens, replacement_key
from lmprep.shards.reader import Dataset
from lmprep.vocabulary import Vocabulary
from tests.corpora import build_dataset, make_tokenizer, write_corpus
from tests.strategies import BERT, ragged_ids, seeds


def slow_replace(ids: list[int], key: int) -> list[int]:
    """One row, one token after the other."""
    for token in ids:
        key = draw(np.uint64(key), token)
    places = [i for i, token in enumerate(ids) if BERT.maskable[token]]
    wanted = min(len(places), max(1, round(0.15 * len(ids))))
    new = list(ids)
    for done, i in enumerate(places):
        if integer_below(len(places) - done, np.uint64(key), 2 * i) < wanted:
            pool = BERT.replacements
            new[i] = int(pool[integer_below(len(pool), np.uint64(key), 2 * i + 1)])
            wanted -= 1
    return new


@given(ragged_ids(), seeds)
def test_tokens_are_replaced_as_one_by_one(rows, seed):
    key = replacement_key(seed, copy=0)
    before = Ragged.from_rows(rows, np.int32)
    kept = before.values.copy()
    after, labels = replace_tokens(before, BERT, key)

    assert [row.tolist() for row in after] == [slow_replace(row, key) for row in rows]
    assert np.array_equal(labels.values, after.values != before.values)
    assert np.array_equal(before.values, kept)


@given(ragged_ids(), seeds)
def test_replaced_tokens_were_maskable_and_are_ordinary(rows, seed):
    ids = Ragged.from_rows(rows, np.int32)
    after, labels = replace_tokens(ids, BERT, replacement_key(seed, copy=0))
    places = labels.values == 1

    assert np.all(BERT.maskable[ids.values[places]])
    assert not set(after.values[places].tolist()) & set(BERT.special)
    counts = [int(row.sum()) for row in labels]
    assert all(n <= max(1, round(0.15 * len(row))) for n, row in zip(counts, rows, strict=True))


def test_a_rows_replacements_do_not_depend_on_its_batch():
    rows = [[2, *range(5 + i, 40), 3] for i in range(6)]
    key = replacement_key(3, copy=1)
    together, _ = replace_tokens(Ragged.from_rows(rows, np.int32), BERT, key)
    alone = [replace_tokens(Ragged.from_rows([row], np.int32), BERT, key)[0][0] for row in rows]

    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))


def test_another_seed_or_copy_replaces_other_tokens():
    ids = Ragged.from_rows([list(range(5, 50)) * 4], np.int32)
    found = [
        replace_tokens(ids, BERT, replacement_key(*seed))[0].values.tobytes()
        for seed in ((0, 0), (1, 0), (0, 1))
    ]

    assert len(set(found)) == 3


def test_every_place_is_as_likely_and_every_token_as_likely_to_be_put_there():
    # 40,000 rows of 20 tokens, all maskable: 3 draws a row, of 45 ids one is the same as before.
    rng = np.random.default_rng(0)
    values = rng.integers(5, 50, 800_000).astype(np.int32)
    ids = Ragged(values, np.arange(40_001) * 20)
    after, labels = replace_tokens(ids, BERT, replacement_key(0, copy=0))
    by_place = labels.values.reshape(-1, 20).sum(axis=0)
    put = np.bincount(after.values[labels.values == 1], minlength=50)[5:]
    share = 0.15 * 44 / 45
    deviation = np.sqrt(40_000 * share * (1 - share))

    assert np.all(np.abs(by_place - 40_000 * share) < 5 * deviation)
    assert np.all(np.abs(put - put.sum() / 45) < 5 * np.sqrt(put.sum() / 45))


@pytest.mark.parametrize("objective", ["skipgram", "cooccurrence"])
def test_word_vectors_have_no_batches_for_models(objective):
    columns = {"input_ids": Ragged.from_rows([[5]], np.int32)}
    with pytest.raises(ValueError, match=f"{objective} has no batches for Hugging Face models"):
        dense_columns(columns, objective, BERT, np.uint64(0))


def test_without_padding_and_separator_nothing_can_be_padded():
    with pytest.raises(ValueError, match="family gpt2 has no padding token"):
        padding_id(Vocabulary(family="gpt2", size=9, special=()))


def test_lmprep_itself_does_not_read_dense_rows(tmp_path):
    corpus = write_corpus(tmp_path / "corpus.txt", documents=9)
    tokenizer = make_tokenizer(corpus, tmp_path / "tok")
    folder = build_dataset(corpus, tokenizer, tmp_path / "out", pairs="none", dense=True)

    with pytest.raises(DatasetError, match=r"out: this dataset is dense.*without --dense"):
        Dataset(folder)
