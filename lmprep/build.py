"""One partition of a corpus -> its shards.

Text -> sentences -> ids -> sequences -> corrupted copies -> Arrow, each step a pure function of
the partition, the settings and a key. Whoever runs a partition, however often, writes the same
bytes under the same names.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import DOCUMENT_SHIFT, Documents, Sequences, Tokens, take_rows
from lmprep.corpus.formats import CorpusSettings, Partition
from lmprep.corpus.sentences import split_sentences
from lmprep.dynamic import corruption_key, order_key
from lmprep.errors import InputError
from lmprep.files import write_json
from lmprep.keyed_random import key_for, permutation, sub_keys
from lmprep.objective_settings import FORMS, MlmSettings, default_sequences
from lmprep.objectives import OBJECTIVES, RawLengths
from lmprep.ragged import Ragged
from lmprep.sequences import make_sequences
from lmprep.settings import (
    PAIRS_SHORT,
    SequenceSettings,
    Settings,
    check_types,
    choice,
    parse_rate,
    parse_size,
    refuse_unknown,
    settings_from,
)
from lmprep.shards.manifest import RECEIPTS
from lmprep.shards.writer import shard_name, write_shard
from lmprep.tokenization.encoder import Encoder
from lmprep.tokenization.folder import TokenizerFolder

# Raised whenever the same settings and text would give other bytes than before.
ALGORITHMS = 1

PARTS = ("train", "valid")


@dataclass(frozen=True, kw_only=True)
class BuildSettings(Settings):
    """Everything that decides what a dataset holds, but for the text and the tokenizer.

    Args:
        objective: a name of `objectives.OBJECTIVES`.
        objective_settings: the settings record of that objective.
        sequences: how documents are cut into sequences.
        corpus: how files are read as documents and sentences.
        seed: every draw depends on it.
        copies: how often each sequence is corrupted, each time anew.
        valid: share of documents set aside for the second folder; 0 makes none.
        partition_bytes: decompressed text in a partition, about.
        keep_order: keep the rows of a shard in the order of the text.
    """

    objective: str = "mlm"
    objective_settings: Settings = field(default_factory=MlmSettings)
    sequences: SequenceSettings = field(default_factory=SequenceSettings)
    corpus: CorpusSettings = field(default_factory=CorpusSettings)
    seed: int = 0
    copies: int = 1
    valid: Fraction = Fraction(0)
    partition_bytes: int = 64_000_000
    keep_order: bool = False

    def __post_init__(self) -> None:
        choice("objective", self.objective, tuple(OBJECTIVES))
        short = self.sequences.short_sequence_probability
        if short and self.sequences.pairs == "none" and self.sequences.sequences == "packed":
            raise ValueError("short_sequence_probability does not apply to packed sequences")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed {self.seed} must be from 0 to 2^63 - 1")
        if not 1 <= self.copies <= 100:
            raise ValueError(f"copies {self.copies} must be from 1 to 100")
        if not 0 <= self.valid <= Fraction(1, 2):
            raise ValueError(f"valid {float(self.valid)} must be from 0 to 0.5")
        # A column of a shard holds fewer than 2^31 values, with pairs borrowed text among them.
        if not 10**3 <= self.partition_bytes <= 10**9:
            raise ValueError(f"partition size {self.partition_bytes} must be from 1kB to 1GB")

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> BuildSettings:
        """Settings from flags or the keys of a recipe: flat names, values parsed or as text.

        Raises:
            ValueError: an unknown name or a value that does not fit.
        """
        rest = {name: value for name, value in options.items() if name != "objective"}
        objective = options.get("objective", cls.objective)
        choice("objective", objective, tuple(OBJECTIVES))
        records = {
            "objective_settings": FORMS[objective].settings,
            "sequences": SequenceSettings,
            "corpus": CorpusSettings,
        }
        written = {n: _pop(rest, {f.name for f in fields(kind)}) for n, kind in records.items()}
        own: dict[str, Any] = {
            "objective_settings": settings_from(
                FORMS[objective].settings, written["objective_settings"]
            ),
            "corpus": settings_from(CorpusSettings, written["corpus"]),
        }
        own["sequences"] = settings_from(
            SequenceSettings,
            _sequence_defaults(objective, own["objective_settings"], written["sequences"])
            | written["sequences"],
        )
        if "partition_size" in rest:
            own["partition_bytes"] = parse_size(rest.pop("partition_size"))
        if "valid" in rest:
            own["valid"] = parse_rate(rest.pop("valid"))
        names = {"seed", "copies", "keep_order"}
        plain = _pop(rest, names)
        check_types(cls, plain)
        known = {f.name for kind in records.values() for f in fields(kind)} | names
        refuse_unknown("setting", rest, sorted(known | {"partition_size", "valid"}))
        return cls(objective=objective, **own, **plain)


def _sequence_defaults(
    objective: str, settings: Settings, given: Mapping[str, Any]
) -> dict[str, Any]:
    """How an objective's sequences are made as far as nobody says."""
    form = FORMS[objective]
    if given.get("pairs", form.pairs[0]) != "none":
        return {"length": form.length, "short_sequence_probability": PAIRS_SHORT}
    return {
        "length": form.length,
        "sequences": default_sequences(objective, settings),
        "short_sequence_probability": form.short,
    }


def _pop(options: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Take the options with these names out."""
    return {name: options.pop(name) for name in sorted(names & options.keys())}


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker must know to build any partition.

    Args:
        out, valid: the dataset folder and that of the held-out part.
        fingerprint: of the plan; receipts carry it.
    """

    out: Path
    valid: Path
    tokenizer: TokenizerFolder
    settings: BuildSettings
    fingerprint: str

    def folder(self, part: str) -> Path:
        """The folder that holds a part, `train` or `valid`."""
        return self.out if part == "train" else self.valid


def receipt_path(out: Path, source: int, partition: int) -> Path:
    """Where the receipt of a partition lies."""
    return out / RECEIPTS / f"{source:05d}-{partition:05d}.json"


class Builder:
    """Builds partitions, one after another, with one encoder and its cache."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._encoder = Encoder(job.tokenizer)

    def build(self, partition: Partition) -> dict[str, Any]:
        """Write the partition's shards, then its receipt; return the receipt."""
        job, settings = self.job, self.job.settings
        documents, drops = split_sentences(partition, settings.corpus)
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
            taken = tokens.take(places)
            shards, lost = self._build_part(part, documents, taken, places, partition)
            if part == "train":
                lost += drops + partition.drops
            receipt[part] = {
                "documents": len(places),
                "input_tokens": len(taken.ids),
                "shards": shards,
                "drops": dict(sorted(lost.items())),
            }
        write_json(receipt_path(job.out, partition.source, partition.ordinal), receipt)
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
        self,
        part: str,
        documents: Documents,
        tokens: Tokens,
        places: NDArray[np.int64],
        partition: Partition,
    ) -> tuple[list[dict[str, Any]], Counter[str]]:
        """The shards of one part of the partition, a copy each, and what was dropped."""
        if not len(tokens):
            return [], Counter()
        settings, vocabulary = self.job.settings, self.job.tokenizer.vocabulary
        key = key_for(
            settings.seed,
            f"sequences {part}",
            source=partition.source,
            partition=partition.ordinal,
        )
        objective = OBJECTIVES[settings.objective]
        sequences, drops = make_sequences(
            tokens,
            settings.sequences,
            vocabulary,
            key,
            frame=objective.frame,
            raw_lengths=self._raw_lengths(part, partition),
            sentence_starts=settings.objective == "bart",
        )
        if not len(sequences):
            return [], drops
        text = _text_of(documents, places)
        about = {
            "text_bytes": len(text),
            "text_sha256": hashlib.sha256(text.data).hexdigest(),
            "words": int(tokens.word_start.sum()),
        }
        copies = range(settings.copies)
        return [self._write(part, sequences, partition, copy) | about for copy in copies], drops

    def _raw_lengths(self, part: str, partition: Partition) -> Callable[[int], RawLengths] | None:
        """How many raw tokens the first so many windows of a part hold, where that varies."""
        settings, vocabulary = self.job.settings, self.job.tokenizer.vocabulary
        raw_lengths = OBJECTIVES[settings.objective].raw_lengths
        if raw_lengths is None:
            return None
        key = key_for(
            settings.seed,
            f"raw lengths {part}",
            source=partition.source,
            partition=partition.ordinal,
        )
        return lambda rows: raw_lengths(
            settings.objective_settings, vocabulary, settings.sequences.length, key, rows
        )

    def _write(
        self, part: str, sequences: Sequences, partition: Partition, copy: int
    ) -> dict[str, Any]:
        """Corrupt the sequences as copy `copy`, shuffle the rows and write the shard."""
        settings, vocabulary = self.job.settings, self.job.tokenizer.vocabulary
        place = (part, partition.source, partition.ordinal)
        objective = OBJECTIVES[settings.objective]
        rows = np.arange(len(sequences))
        keys = sub_keys(corruption_key(settings.seed, copy, *place), rows)
        columns = objective.corrupt(sequences, settings.objective_settings, vocabulary, keys)
        scored = objective.scored(columns)
        columns |= sequences.provenance()
        if not settings.keep_order:
            order = permutation(len(rows), order_key(settings.seed, *place))
            columns = take_rows(columns, order)
        entry = write_shard(
            self.job.folder(part),
            shard_name(partition.source, partition.ordinal, copy),
            columns,
            vocabulary_size=vocabulary.size,
            length=settings.sequences.length,
        )
        return entry | {"tokens": len(sequences.ids), "scored_tokens": scored}


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


def _text_of(documents: Documents, places: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The text of the documents at these places."""
    offsets = documents.sentence_offsets[documents.document_offsets]
    return Ragged(documents.text, offsets).take(places).values
