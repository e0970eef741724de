"""Datasets written by the real writer, with a fault planted in their columns or papers."""

from dataclasses import asdict
from functools import cache

import numpy as np

from lmprep.batches import DOCUMENT_SHIFT, Tokens
from lmprep.checks.verify import verify
from lmprep.keyed_random import key_for, sub_keys
from lmprep.objective_settings import MlmSettings
from lmprep.objectives import mlm
from lmprep.ragged import Ragged, offsets_of
from lmprep.sequences import make_sequences
from lmprep.settings import PAIRS_SHORT, SequenceSettings
from lmprep.shards.manifest import write_manifest
from lmprep.shards.writer import shard_name, write_shard
from lmprep.vocabulary import Vocabulary

SIZE, LENGTH = 3000, 48
PAD, UNK, CLS, SEP, MASK = range(5)
SOURCES = 2
MASKING = MlmSettings()


def vocabulary_of(family="bert", size=SIZE):
    return Vocabulary(
        family=family,
        size=size,
        special=(0, 1, 2, 3, 4),
        pad=PAD,
        unk=UNK,
        cls=CLS,
        sep=SEP,
        mask=MASK,
    )


@cache
def columns_of(kind, source, copy=0, family="bert", seed=0, size=SIZE, masking=MASKING):
    """Columns of one partition; `kind` is nsp, sop, document or packed.

    The text of a small vocabulary is mostly its first tokens.
    """
    rng = np.random.default_rng(source)
    sentences = rng.integers(1, 9, 500)
    lengths = rng.integers(0, 12, sentences.sum())
    total = int(lengths.sum())
    evenness = 1 if size == SIZE else 3
    ids = (5 + (size - 5) * rng.random(total) ** evenness).astype(np.int32)
    ids[rng.random(total) < 0.02] = UNK
    tokens = Tokens(
        ids=ids,
        word_start=np.ones(total, np.bool_),
        sentence_offsets=offsets_of(lengths),
        document_offsets=offsets_of(sentences),
        numbers=(source << DOCUMENT_SHIFT) + np.arange(len(sentences)),
    )
    vocabulary, key = vocabulary_of(family, size), key_for(seed, "train", source=source)
    sequences, _ = make_sequences(tokens, sequence_settings(kind), vocabulary, key)
    keys = sub_keys(key_for(seed, "corrupt", source=source, copy=copy), np.arange(len(sequences)))
    return mlm.corrupt(sequences, masking, vocabulary, keys) | sequences.provenance()


def sequence_settings(kind):
    if kind in ("nsp", "sop"):
        return SequenceSettings(length=LENGTH, pairs=kind, short_sequence_probability=PAIRS_SHORT)
    return SequenceSettings(length=LENGTH, sequences=kind)


def copied(columns):
    """Columns whose arrays may be written to."""
    return {
        name: Ragged(c.values.copy(), c.offsets.copy()) if isinstance(c, Ragged) else c.copy()
        for name, c in columns.items()
    }


def dataset(
    folder,
    kind="nsp",
    *,
    copies=1,
    family="bert",
    seed=0,
    size=SIZE,
    masking=MASKING,
    plant=None,
    papers=None,
):
    """Write a dataset of two shards a copy.

    Args:
        plant: changes the columns of the second shard of each copy: they are handed to it, and
            it may return others.
        papers: changes the manifest's content before it is written.
    """
    folder.mkdir()
    shards = []
    for source in range(SOURCES):
        for copy in range(copies):
            columns = copied(columns_of(kind, source, copy, family, seed, size, masking))
            if plant and source == SOURCES - 1:
                columns = plant(columns) or columns
            shards.append(written(folder, shard_name(source, 0, copy), columns, size))
    content = {
        "objective": "mlm",
        "settings": {
            "objective_settings": masking.as_dict(),
            "sequences": sequence_settings(kind).as_dict(),
            "copies": copies,
        },
        "vocabulary": asdict(vocabulary_of(family, size)),
        "fingerprint": "0" * 64,
        "drops": {},
        "shards": shards,
    }
    if papers:
        papers(content)
    write_manifest(folder, content)
    return folder


def written(folder, name, columns, size=SIZE):
    entry = write_shard(folder, name, columns, vocabulary_size=size, length=LENGTH)
    assert {len(column) for column in columns.values()} == {entry["rows"]}
    tokens, scored = len(columns["input_ids"].values), len(columns["masked_labels"].values)
    return entry | {"tokens": tokens, "scored_tokens": scored, "text_bytes": 0, "words": 0}


def failed(folder):
    """The names of the checks that failed."""
    return {check.name for check in verify(folder) if not check.passed}
