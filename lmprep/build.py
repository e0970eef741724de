"""One partition of a corpus -> its shards.

Text -> sentences -> ids -> sequences -> corrupted copies -> Arrow, each step a pure function of
the partition, the settings and a key. Whoever runs a partition, however often, writes the same
bytes under the same names. An objective of two stages writes partials instead; `second_stage`
makes the shards.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep import duplicates, partials
from lmprep.allocator import hand_back_freed_memory
from lmprep.batches import (
    DOCUMENT_SHIFT,
    Columns,
    Documents,
    Drops,
    Sequences,
    Tokens,
    ragged,
    take_rows,
)
from lmprep.build_settings import BuildSettings
from lmprep.corpus.formats import Partition
from lmprep.corpus.sentences import split_sentences
from lmprep.dynamic import order_key
from lmprep.errors import InputError, LmprepError
from lmprep.examples import Place, corrupted, sequences_of
from lmprep.keyed_random import key_for, permutation, sub_keys
from lmprep.objectives import OBJECTIVES
from lmprep.ragged import Ragged
from lmprep.remote import AnyPath
from lmprep.shards.dense import Shape, as_lists, dense_columns, replacement_key
from lmprep.shards.manifest import RECEIPTS, write_receipt
from lmprep.shards.writer import shard_name, write_shard
from lmprep.tokenization.encoder import Encoder
from lmprep.tokenization.folder import TokenizerFolder
from lmprep.vocabulary import Vocabulary

# Raised whenever the same settings and text would give other bytes than before.
ALGORITHMS = 1

Entry = dict[str, Any]

_LARGE = 1 / 8
"""An array that goes back to the system when it is freed, as a share of a partition's text, ..."""
_LEAST_LARGE = 1_000_000
"""... and in bytes at least."""
_SMALLER = "Build with a shorter --length or a smaller --partition-size"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker must know to build any partition.

    Args:
        out, valid: the dataset folder and that of the held-out part.
        fingerprint: of the plan; receipts carry it.
    """

    out: AnyPath
    valid: AnyPath
    tokenizer: TokenizerFolder
    settings: BuildSettings
    fingerprint: str

    def folder(self, part: str) -> AnyPath:
        """The folder that holds a part, `train` or `valid`."""
        return self.out if part == "train" else self.valid


def receipt_path(out: AnyPath, source: int, partition: int) -> AnyPath:
    """Where the receipt of a partition lies."""
    return out / RECEIPTS / f"{source:05d}-{partition:05d}.json"


class Builder:
    """Builds partitions, one after another, with one encoder and its cache."""

    def __init__(self, job: Job) -> None:
        hand_back_freed_memory(max(_LEAST_LARGE, int(_LARGE * job.settings.partition_bytes)))
        self.job = job
        self._encoder = Encoder(job.tokenizer)

    def build(self, partition: Partition) -> dict[str, Any]:
        """Write the partition's shards or partials, then its receipt; return the receipt."""
        job, settings = self.job, self.job.settings
        documents, drops = split_sentences(partition, settings.corpus)
        if settings.dedup == "exact":
            documents, repeated = _first_documents(documents, partition, job)
            drops += repeated
        tokens = self._encode(documents)
        held_out = _held_out(documents, partition, settings)
        receipt: dict[str, Any] = {
            "fingerprint": job.fingerprint,
            "source": partition.source,
            "partition": partition.ordinal,
            "last": partition.last,
            "documents": len(documents),
            "text_bytes": len(partition.text),
            "text_sha256": hashlib.sha256(partition.text.data).hexdigest(),
            "warnings": list(partition.warnings),
        }
        for part, chosen in (("train", ~held_out), ("valid", held_out)):
            places = np.flatnonzero(chosen)
            taken, text = tokens, documents.text
            if len(places) < len(documents):
                taken, text = tokens.take(places), _text_of(documents, places)
            about = _about(taken, text)
            place = Place(part, partition.source, partition.ordinal)
            written, lost = self._build_part(place, taken, about)
            if part == "train":
                lost += drops + partition.drops
            receipt[part] = {
                "documents": len(places),
                "input_tokens": len(taken.ids),
                "about": about,
                **written,
                "drops": dict(sorted(lost.items())),
            }
        write_receipt(receipt_path(job.out, partition.source, partition.ordinal), receipt)
        return receipt

    def _encode(self, documents: Documents) -> Tokens:
        try:
            return self._encoder.encode(documents)
        except ValueError as error:
            raise InputError(
                str(error),
                path=self.job.tokenizer.path,
                fix="Use a tokenizer that can encode any text, such as one of lmprep vocab",
            ) from None

    def _build_part(
        self, place: Place, tokens: Tokens, about: dict[str, Any]
    ) -> tuple[dict[str, list[Entry]], Drops]:
        """The shards and partials of one part of the partition, and what was dropped."""
        written: dict[str, list[Entry]] = {"shards": [], "partials": []}
        if not len(tokens):
            return written, Counter()
        job = self.job
        vocabulary = job.tokenizer.vocabulary
        sequences, drops = sequences_of(tokens, job.settings, vocabulary, place)
        if not len(sequences):
            return written, drops
        if OBJECTIVES[job.settings.objective].second_stage == "none":
            written["shards"] = [
                write_copy(job, sequences, place, copy) | about
                for copy in range(job.settings.copies)
            ]
        else:
            written["partials"] = partials.save(
                job.folder(place.part), place, sequences, job.settings, vocabulary
            )
        return written, drops


def write_copy(
    job: Job,
    sequences: Sequences,
    place: Place,
    copy: int,
    counts: NDArray[np.int64] | None = None,
) -> Entry:
    """Corrupt the sequences as copy `copy`, shuffle the rows and write the shard.

    Args:
        counts: as for `examples.corrupted`.

    Returns:
        The shard's manifest entry, but for what it says about the text.
    """
    settings, vocabulary = job.settings, job.tokenizer.vocabulary
    columns = corrupted(sequences, settings, vocabulary, place, copy, counts)
    objective = OBJECTIVES[settings.objective]
    scored = objective.scored(columns)
    tokens = len(sequences.ids)
    if objective.second_stage == "counts":
        tokens = len(ragged(columns, "input_ids").values)
    columns = _as_stored(columns, len(sequences), settings, vocabulary, place, copy)
    try:
        entry = write_shard(
            job.folder(place.part),
            shard_name(place.source, place.partition, copy),
            columns,
            vocabulary_size=vocabulary.size,
            length=settings.sequences.length,
            narrow=not settings.dense,
        )
    except ValueError as error:
        raise LmprepError(str(error), fix=_SMALLER) from None
    return entry | {"tokens": tokens, "scored_tokens": scored}


def _as_stored(
    columns: Columns,
    rows: int,
    settings: BuildSettings,
    vocabulary: Vocabulary,
    place: Place,
    copy: int,
) -> Columns:
    """The columns of a copy in the order and the form in which they are written."""
    if not settings.keep_order:
        columns = take_rows(columns, permutation(rows, order_key(settings.seed, *place)))
    return _dense(columns, settings, vocabulary, copy) if settings.dense else columns


def rehearse(folder: TokenizerFolder, settings: BuildSettings) -> None:
    """Compile what makes rows of tokens, by making few."""
    vocabulary, place = folder.vocabulary, Place("train", 0, 0)
    ids = np.resize(np.flatnonzero(vocabulary.maskable), 1000).astype(np.int32)
    tokens = Tokens(
        ids=ids,
        word_start=np.ones(len(ids), np.bool_),
        sentence_offsets=np.arange(0, 1001, 10),
        document_offsets=np.arange(0, 101, 10),
        numbers=np.arange(10),
    )
    sequences, _ = sequences_of(tokens, settings, vocabulary, place)
    columns = corrupted(sequences, settings, vocabulary, place, 0)
    OBJECTIVES[settings.objective].scored(columns)
    _as_stored(columns, len(sequences), settings, vocabulary, place, 0)


def _dense(columns: Columns, settings: BuildSettings, vocabulary: Vocabulary, copy: int) -> Columns:
    """The padded form of the rows, equally wide in every shard."""
    longest_target = OBJECTIVES[settings.objective].longest_target
    own, length = settings.objective_settings, settings.sequences.length
    shape = Shape(
        length=length,
        target_length=longest_target(own, vocabulary, length) if longest_target else None,
    )
    key = replacement_key(settings.seed, copy)
    return as_lists(dense_columns(columns, settings.objective, vocabulary, key, shape))


def _held_out(
    documents: Documents, partition: Partition, settings: BuildSettings
) -> NDArray[np.bool_]:
    """Which documents go to the held-out part, bool [D].

    A document goes when its draw lies below the rate. Of the first partition the two lowest draws
    always go, so that a small corpus has something to be evaluated on.
    """
    if not settings.valid:
        return np.zeros(len(documents), np.bool_)
    key = key_for(settings.seed, "held out", source=partition.source)
    draws = sub_keys(key, documents.numbers & ((1 << DOCUMENT_SHIFT) - 1))
    held_out = draws < np.uint64(int(settings.valid * 2**64))
    if partition.source == partition.ordinal == 0:
        held_out[np.argsort(draws, kind="stable")[:2]] = True
    return held_out


def _first_documents(
    documents: Documents, partition: Partition, job: Job
) -> tuple[Documents, Drops]:
    """The documents whose text did not come before, and how many did."""
    first = duplicates.first_in(job.out, partition)
    ordinals = documents.numbers & ((1 << DOCUMENT_SHIFT) - 1)
    kept = np.flatnonzero(first[ordinals - partition.first_document])
    if len(kept) == len(documents):
        return documents, Drops()
    repeated = len(documents) - len(kept)
    return documents.take(kept), Drops({duplicates.REASON: repeated})


def _about(tokens: Tokens, text: NDArray[np.uint8]) -> dict[str, Any]:
    """What a manifest says about the text of a shard."""
    return {
        "text_bytes": len(text),
        "text_sha256": hashlib.sha256(text.data).hexdigest(),
        "words": int(tokens.word_start.sum()),
    }


def _text_of(documents: Documents, places: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The text of the documents at these places."""
    offsets = documents.sentence_offsets[documents.document_offsets]
    return Ragged(documents.text, offsets).take(places).values
