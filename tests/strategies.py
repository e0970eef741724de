"""Hypothesis strategies and small records for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from lmprep.batches import Sequences, Tokens
from lmprep.ragged import offsets_of
from lmprep.vocabulary import Vocabulary

# [PAD] [UNK] [CLS] [SEP] [MASK] are 0 to 4; ordinary ids from 5.
BERT = Vocabulary(
    family="bert", size=50, special=(0, 1, 2, 3, 4), pad=0, unk=1, cls=2, sep=3, mask=4
)
ROBERTA = replace(BERT, family="roberta")

# What a manifest says beside its shards, vocabulary and copies: as little as it may.
PAPER = {
    "lmprep": "0.1.0", "objective": "clm", "part": "train", "inputs": [], "fingerprint": "f" * 64,
    "tokenizer_sha256": "0" * 64, "documents": 1, "input_tokens": 1, "drops": {},
}  # fmt: skip
SETTINGS = {
    "objective_settings": {}, "sequences": {}, "copies": 1, "seed": 0, "keep_order": False,
    "dedup": "none",
}  # fmt: skip

seeds = st.integers(0, 2**63 - 1)


def keys_of(rows: int, seed: int = 0) -> np.ndarray:
    """Keys for rows: uint64 [N]."""
    from lmprep.keyed_random import key_for, sub_keys

    return sub_keys(key_for(seed, "tests"), np.arange(rows))


def sequences_of(rows: Sequence[Sequence[int]], vocabulary: Vocabulary = BERT) -> Sequences:
    """Sequences with these ids."""
    ids = np.array([i for row in rows for i in row], np.int32)
    return Sequences(
        ids=ids,
        word_start=np.ones(len(ids), np.bool_),
        maskable=vocabulary.maskable[ids],
        offsets=offsets_of([len(row) for row in rows]),
        document=np.arange(len(rows)),
        first_sentence=np.zeros(len(rows), np.int32),
    )


def tokens_of(documents: Sequence[Sequence[Sequence[int]]]) -> Tokens:
    """Tokens of documents of sentences of ids; every token starts a word."""
    sentences = [sentence for document in documents for sentence in document]
    ids = np.array([i for sentence in sentences for i in sentence], np.int32)
    return Tokens(
        ids=ids,
        word_start=np.ones(len(ids), np.bool_),
        sentence_offsets=offsets_of([len(sentence) for sentence in sentences]),
        document_offsets=offsets_of([len(document) for document in documents]),
        numbers=np.arange(len(documents)),
    )


def ragged_ids(vocabulary: Vocabulary = BERT) -> st.SearchStrategy[list[list[int]]]:
    """Rows of ids, special ones among them, some rows empty."""
    ids = st.integers(0, vocabulary.size - 1)
    return st.lists(st.lists(ids, max_size=30), min_size=1, max_size=8)
