"""Datasets written by the real writer, with a fault planted in their columns or papers."""

import hashlib
from dataclasses import asdict
from functools import cache

import numpy as np

from lmprep.batches import DOCUMENT_SHIFT, Tokens
from lmprep.checks.verify import verify
from lmprep.keyed_random import key_for, sub_keys
from lmprep.objective_settings import FORMS, MlmSettings, default_sequences
from lmprep.objectives import OBJECTIVES
from lmprep.ragged import Ragged, offsets_of
from lmprep.sequences import make_sequences
from lmprep.settings import PAIRS_SHORT, SequenceSettings
from lmprep.shards.manifest import write_manifest
from lmprep.shards.writer import shard_name, write_shard
from lmprep.vocabulary import Vocabulary

SIZE, LENGTH = 3000, 48
PAD, UNK, CLS, SEP, MASK = range(5)
SOURCES = 2
DOCUMENTS = 500
MASKING = MlmSettings()
TOKENIZER = b"{}"  # which no check without a source reads

_ROLES = {
    "bert": {"pad": PAD, "unk": UNK, "cls": CLS, "sep": SEP, "mask": MASK},
    "roberta": {"pad": PAD, "unk": UNK, "cls": CLS, "sep": SEP, "mask": MASK},
    "gpt2": {"sep": SEP},
    "t5": {"pad": PAD, "unk": UNK, "sep": SEP},
    "ul2": {"pad": PAD, "unk": UNK, "sep": SEP},
}


@cache
def vocabulary_of(family="bert", size=SIZE):
    """Special tokens from 0 to 4, whatever the family; sentinels and modes at the end."""
    sentinels = tuple(range(size - 1, size - 101, -1)) if family in ("t5", "ul2") else ()
    modes = (size - 103, size - 102, size - 101) if family == "ul2" else ()
    front = tuple(sorted(_ROLES[family].values()))
    return Vocabulary(
        family=family,
        size=size,
        special=(*front, *modes, *reversed(sentinels)),
        sentinels=sentinels,
        modes=modes,
        **_ROLES[family],
    )


@cache
def tokens_of_source(source, size, top, documents=DOCUMENTS):
    """Text of ids 5 to `top` - 1, an unknown token now and then.

    The text of a small vocabulary is mostly its first tokens.
    """
    rng = np.random.default_rng(source)
    sentences = rng.integers(1, 9, documents)
    lengths = rng.integers(0, 12, sentences.sum())
    total = int(lengths.sum())
    evenness = 1 if size == SIZE else 3
    ids = (5 + (top - 5) * rng.random(total) ** evenness).astype(np.int32)
    ids[rng.random(total) < 0.02] = UNK
    word_start = rng.random(total) < 0.7
    offsets = offsets_of(lengths)
    word_start[offsets[:-1][lengths > 0]] = True
    return Tokens(
        ids=ids,
        word_start=word_start,
        sentence_offsets=offsets,
        document_offsets=offsets_of(sentences),
        numbers=(source << DOCUMENT_SHIFT) + np.arange(len(sentences)),
    )


@cache
def columns_of(
    kind,
    source,
    copy=0,
    family="bert",
    seed=0,
    size=SIZE,
    settings=MASKING,
    objective="mlm",
    documents=DOCUMENTS,
    length=LENGTH,
):
    """Columns of one partition; `kind` is nsp, sop, document or packed."""
    vocabulary = vocabulary_of(family, size)
    top = size if not vocabulary.sentinels else min((*vocabulary.sentinels, *vocabulary.modes))
    row, key = OBJECTIVES[objective], key_for(seed, "train", source=source)
    raw_lengths = row.raw_lengths and (
        lambda rows: row.raw_lengths(settings, vocabulary, length, key, rows)
    )
    sequences, _ = make_sequences(
        tokens_of_source(source, size, top, documents),
        sequence_settings(kind, objective, length),
        vocabulary,
        key,
        frame=row.frame,
        raw_lengths=raw_lengths,
        sentence_starts=objective == "bart",
    )
    keys = sub_keys(key_for(seed, "corrupt", source=source, copy=copy), np.arange(len(sequences)))
    return row.corrupt(sequences, settings, vocabulary, keys) | sequences.provenance()


def sequence_settings(kind, objective="mlm", length=LENGTH):
    if kind in ("nsp", "sop"):
        return SequenceSettings(length=length, pairs=kind, short_sequence_probability=PAIRS_SHORT)
    short = FORMS[objective].short
    return SequenceSettings(length=length, sequences=kind, short_sequence_probability=short)


def kinds_of(objective, settings):
    """The kinds of sequences that an objective takes, its default first."""
    form = FORMS[objective]
    first = default_sequences(objective, settings)
    others = (kind for kind in form.sequences if kind != first)
    return (first, *others, *(pairs for pairs in form.pairs if pairs != "none"))


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
    objective="mlm",
    settings=MASKING,
    copies=1,
    family="bert",
    seed=0,
    size=SIZE,
    documents=DOCUMENTS,
    length=LENGTH,
    plant=None,
    papers=None,
):
    """Write a dataset of two shards a copy.

    Args:
        plant: changes the columns of the second shard of each copy: they are handed to it, and
            it may return others.
        papers: changes the manifest's content before it is written.
    """
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer" / "tokenizer.json").write_bytes(TOKENIZER)
    shards, vocabulary = [], vocabulary_of(family, size)
    held = {}
    for source in range(SOURCES):
        for copy in range(copies):
            args = (family, seed, size, settings, objective, documents, length)
            columns = copied(columns_of(kind, source, copy, *args))
            if plant and source == SOURCES - 1:
                columns = plant(columns) or columns
            lengths = lengths_before(columns, objective, settings, vocabulary)
            entry = write_shard(
                folder,
                shard_name(source, 0, copy),
                columns,
                vocabulary_size=vocabulary.size,
                length=length,
            )
            assert {len(column) for column in columns.values()} == {entry["rows"]}
            shards.append(
                entry
                | {
                    "tokens": int(lengths.sum()),
                    "scored_tokens": OBJECTIVES[objective].scored(columns),
                    "text_bytes": 0,
                    "words": 0,
                }
            )
            tokens = text_tokens(columns, lengths, objective, family)
            held[entry["file"]] = 0 if copy else tokens
    content = {
        "objective": objective,
        "settings": {
            "objective_settings": settings.as_dict(),
            "sequences": sequence_settings(kind, objective, length).as_dict(),
            "copies": copies,
            "seed": seed,
            "keep_order": True,
            "dedup": "none",
        },
        "part": "train",
        "vocabulary": asdict(vocabulary),
        "lmprep": "0.1.0",
        "fingerprint": "0" * 64,
        "tokenizer_sha256": hashlib.sha256(TOKENIZER).hexdigest(),
        "drops": {},
        "inputs": [],
        "documents": SOURCES * documents,
        "shards": shards,
    }
    if papers:
        papers(content)
    content.setdefault("input_tokens", sum(held[entry["file"]] for entry in content["shards"]))
    write_manifest(folder, content)
    return folder


def lengths_before(columns, objective, settings, vocabulary):
    """Tokens of each row before corruption, told from what its columns hold."""
    inputs = columns["input_ids"]
    if objective not in ("t5", "ul2", "bart"):
        return inputs.lengths
    labels = columns["labels"]
    if objective == "bart":
        return labels.lengths - 2
    if objective == "t5" and settings.noise in ("bert-style", "mass", "deshuffle"):
        return labels.lengths - 1
    sentinels = [
        [int(np.isin(row, vocabulary.sentinels).sum()) for row in rows] for rows in (inputs, labels)
    ]
    return inputs.lengths + labels.lengths - 2 - (objective == "ul2") - np.sum(sentinels, axis=0)


def text_tokens(columns, lengths, objective, family):
    """Tokens of the text in the rows, none counted twice: lengths less what the layout adds."""
    frame = OBJECTIVES[objective].frame
    if frame == "bare":
        return int(lengths.sum())
    if frame == "ended":
        return int(np.sum(columns["input_ids"].values != SEP))
    separators = 2 if family == "roberta" else 1
    if "next_sentence_label" in columns or "sentence_order_label" in columns:
        second = lengths - columns["first_segment_length"] - separators
        borrowed = columns.get("next_sentence_label", np.zeros(len(lengths))) == 1
        return int(np.sum(lengths - 2 - separators - np.where(borrowed, second, 0)))
    if "first_segment_length" in columns:
        split = columns["first_segment_length"] < lengths
        return int(np.sum(lengths - 2 - split * separators))
    further = columns["document_starts"].lengths.sum() if "document_starts" in columns else 0
    return int(np.sum(lengths - 2) - further)


def failed(folder):
    """The names of the checks that failed."""
    return {check.name for check in verify(folder) if not check.passed}


def found_in(tmp_path, fault, kind="nsp", **options):
    """The names of the checks that a fault in the second shard breaks."""
    return failed(
        dataset(tmp_path / f"out-{len(list(tmp_path.iterdir()))}", kind, plant=fault, **options)
    )


def row_lists(columns, row):
    """The lists of one row, as Python lists."""
    return {n: c[row].tolist() for n, c in columns.items() if isinstance(c, Ragged)}


def put_row(columns, row, **lists):
    """Replace lists of one row."""
    for name, values in lists.items():
        column = columns[name]
        rows = [list(r) for r in column]
        rows[row] = values
        columns[name] = Ragged.from_rows(rows, column.values.dtype)


def original_of(lists):
    """The ids of a masked row before corruption."""
    ids = list(lists["input_ids"])
    for position, label in zip(lists["masked_positions"], lists["masked_labels"], strict=True):
        ids[position] = label
    return ids


def predict(lists, positions, token=None):
    """A masked row that predicts these positions more; they become `token`, by default masks."""
    original = original_of(lists)
    ids = list(lists["input_ids"])
    for position in positions:
        ids[position] = MASK if token is None else token
    chosen = sorted({*lists["masked_positions"], *positions})
    return {
        **lists,
        "input_ids": ids,
        "masked_positions": chosen,
        "masked_labels": [original[position] for position in chosen],
    }


def reveal(lists, positions):
    """A masked row that predicts these positions no more."""
    original = original_of(lists)
    ids = list(lists["input_ids"])
    for position in positions:
        ids[position] = original[position]
    chosen = [p for p in lists["masked_positions"] if p not in set(positions)]
    return {
        **lists,
        "input_ids": ids,
        "masked_positions": chosen,
        "masked_labels": [original[position] for position in chosen],
    }


def words_in(lists):
    """The words of a row: lists of positions, special tokens left out."""
    words = []
    for position, (token, start) in enumerate(
        zip(original_of(lists), lists["word_start"], strict=True)
    ):
        if token in (CLS, SEP):
            continue
        if start or not words:
            words.append([])
        words[-1].append(position)
    return words
