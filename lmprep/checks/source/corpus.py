"""The corpus read again: its partitions as tokens, for what the rows say to be held against.

Files are read and cut as the manifest's settings say. Text is encoded by our `Encoder`, with the
tokenizer in the dataset folder; of each partition the first sentences go through the `tokenizers`
library too, which is what defines the ids. Which documents were held out follows from the seed:
a keyed draw for each below the rate, and the two lowest of the first partition.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lmprep.batches import DOCUMENT_SHIFT, Documents, Tokens
from lmprep.checks.record import Check
from lmprep.corpus import (
    CorpusSettings,
    InputFile,
    Partition,
    expand,
    plan_sources,
    read_partitions,
)
from lmprep.corpus.sentences import split_sentences
from lmprep.duplicates import REASON
from lmprep.keyed_random import key_for, sub_keys
from lmprep.ragged import Ragged
from lmprep.settings import parse_rate, settings_from
from lmprep.tokenization import folder as tokenizer_folder
from lmprep.tokenization.encoder import Encoder

# What the library encodes of a partition, at most.
_SAMPLE_SENTENCES = 200
_SAMPLE_BYTES = 100_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Text:
    """The documents of one partition that belong to the dataset's part.

    Args:
        source, partition: where they are from.
        tokens: the documents.
        sha256: of their text, as the manifest has it.
    """

    source: int
    partition: int
    tokens: Tokens
    sha256: str

    def origin(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Document number and sentence ordinal of tokens, int64 [N] each."""
        tokens = self.tokens
        sentence = np.searchsorted(tokens.sentence_offsets, places, side="right") - 1
        document = np.searchsorted(tokens.document_offsets, sentence, side="right") - 1
        return tokens.numbers[document], sentence - tokens.document_offsets[document]

    def sentence(
        self, document: NDArray[np.int64], ordinal: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first token of each of these sentences, and the one behind its last, int64 [N] each;
        0 and 0 for a sentence that there is not."""
        tokens = self.tokens
        place = np.searchsorted(tokens.numbers, document)
        place = np.minimum(place, max(0, len(tokens) - 1))
        first = tokens.document_offsets[place]
        there = (tokens.numbers[place] == document) & (ordinal >= 0)
        there &= ordinal < tokens.document_offsets[place + 1] - first
        sentence = np.where(there, first + ordinal, 0)
        start, stop = tokens.sentence_offsets[sentence], tokens.sentence_offsets[sentence + 1]
        return np.where(there, start, 0), np.where(there, stop, 0)

    def starts_document(self) -> NDArray[np.bool_]:
        """Which tokens begin a document, bool [T]."""
        return self._begins(self.tokens.sentence_offsets[self.tokens.document_offsets])

    def starts_sentence(self) -> NDArray[np.bool_]:
        """Which tokens begin a sentence, bool [T]."""
        return self._begins(self.tokens.sentence_offsets)

    def _begins(self, offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
        begins = np.zeros(len(self.tokens.ids), np.bool_)
        begins[offsets[:-1][np.diff(offsets) > 0]] = True
        return begins


class Corpus:
    """The corpus of a dataset, to be read again.

    Args:
        folder, manifest: of the dataset.
        arguments: files and globs, as they were given to `lmprep build`.

    Raises:
        UsageError: an input does not exist.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any], arguments: Sequence[str]) -> None:
        self._manifest = manifest
        settings = manifest["settings"]
        self._corpus = settings_from(CorpusSettings, settings["corpus"])
        self._inputs = expand(arguments, format=self._corpus.format)
        family = manifest["vocabulary"]["family"]
        self._tokenizer = tokenizer_folder.load(folder / "tokenizer", family)
        self._encoder = Encoder(self._tokenizer)
        self._sampled = self._differing = 0
        self._seen: set[bytes] = set()  # hashes of texts, where later ones were dropped
        self._repeated = 0

    def files_check(self) -> Check:
        """The files are as many and as large as those the dataset was made of."""
        stated = [file["bytes"] for file in self._manifest["inputs"]]
        found = [file.bytes for file in self._inputs]
        passed = found == stated
        names = ", ".join(file["name"] for file in self._manifest["inputs"][:3])
        return Check(
            name="source files",
            expected=f"{len(stated)} of {sum(stated)} bytes",
            found=f"{len(found)} of {sum(found)} bytes",
            tolerance="",
            passed=passed,
            detail="" if passed else f"the dataset was made of {names}",
        )

    def texts(self) -> Iterator[Text]:
        """Every partition, in order; of each only what belongs to the dataset's part.

        The corpora of merged datasets are read one after another, each as it was by itself.
        """
        whole = {"inputs": len(self._inputs), "sources": 0}
        first_input = first_source = 0
        for one in self._manifest.get("merged", [whole]):
            inputs = self._inputs[first_input : first_input + one["inputs"]]
            for text in self._texts_of(inputs):
                yield _renumbered(text, first_source)
            first_input += one["inputs"]
            first_source += one["sources"]

    def _texts_of(self, inputs: Sequence[InputFile]) -> Iterator[Text]:
        settings = self._manifest["settings"]
        self._seen.clear()
        for source in plan_sources(inputs, self._corpus, settings["partition_bytes"]):
            for partition in read_partitions(source, self._corpus, settings["partition_bytes"]):
                documents, _ = split_sentences(partition, self._corpus)
                if settings["dedup"] != "none":
                    documents = self._without_repeated(documents, partition)
                yield self._text(documents, partition)

    def _without_repeated(self, documents: Documents, partition: Partition) -> Documents:
        """The documents whose text did not come before, in this partition or an earlier one."""
        offsets = partition.document_offsets
        kept = []
        for place, number in enumerate(documents.numbers.tolist()):
            document = (number & ((1 << DOCUMENT_SHIFT) - 1)) - partition.first_document
            text = partition.text[offsets[document] : offsets[document + 1]]
            digest = hashlib.sha256(text.data).digest()
            if digest not in self._seen:
                self._seen.add(digest)
                kept.append(place)
        self._repeated += len(documents) - len(kept)
        return documents.take(np.array(kept, np.int64))

    def repeated_check(self) -> Check:
        """As many documents came again as were dropped for it, over both parts."""
        stated = self._manifest["drops"].get(REASON, 0)
        return Check(
            name="source duplicates",
            expected=f"{stated} dropped",
            found=f"{self._repeated} documents whose text came before",
            tolerance="",
            passed=stated == self._repeated,
        )

    def _text(self, documents: Documents, partition: Partition) -> Text:
        held_out = _held_out(documents, partition, self._manifest["settings"])
        chosen = np.flatnonzero(held_out == (self._manifest["part"] == "valid"))
        offsets = documents.sentence_offsets[documents.document_offsets]
        text = Ragged(documents.text, offsets).take(chosen).values
        tokens = self._encoder.encode(documents)
        self._compare(documents, tokens)
        return Text(
            source=partition.source,
            partition=partition.ordinal,
            tokens=tokens.take(chosen),
            sha256=hashlib.sha256(text.data).hexdigest(),
        )

    def _compare(self, documents: Documents, tokens: Tokens) -> None:
        """Encode the first sentences with the library alone."""
        plain = Tokenizer.from_str(self._tokenizer.tokenizer.to_str())
        plain.no_truncation()
        plain.no_padding()
        plain.encode_special_tokens = True
        vocabulary = self._tokenizer.vocabulary
        for sentence in range(min(_SAMPLE_SENTENCES, len(documents.sentence_offsets) - 1)):
            if documents.sentence_offsets[sentence] > _SAMPLE_BYTES:
                break
            text = documents.slice_text(sentence)
            ids = np.array(plain.encode(text, add_special_tokens=False).ids, np.int64)
            special = ~vocabulary.maskable[ids]
            ids[special] = -1 if vocabulary.unk is None else vocabulary.unk
            start, stop = tokens.sentence_offsets[sentence : sentence + 2]
            self._sampled += 1
            self._differing += not np.array_equal(ids, tokens.ids[start:stop])

    def encoder_check(self) -> Check:
        """What the encoder gives is what the library gives."""
        return Check(
            name="source encoder",
            expected="the tokens of the tokenizers library",
            found=f"{self._sampled - self._differing} of {self._sampled} sentences",
            tolerance="",
            passed=not self._differing,
        )


def _renumbered(text: Text, first_source: int) -> Text:
    """The text with its source, and those in its documents' numbers, counted from another one."""
    if not first_source:
        return text
    numbers = text.tokens.numbers + (first_source << DOCUMENT_SHIFT)
    tokens = replace(text.tokens, numbers=numbers)
    return replace(text, source=first_source + text.source, tokens=tokens)


def _held_out(
    documents: Documents, partition: Partition, settings: dict[str, Any]
) -> NDArray[np.bool_]:
    """Which documents were set aside for the held-out part, bool [D]."""
    rate: Fraction = parse_rate(settings["valid"])
    if not rate:
        return np.zeros(len(documents), np.bool_)
    key = key_for(settings["seed"], "held out", source=partition.source)
    draws = sub_keys(key, documents.numbers & ((1 << DOCUMENT_SHIFT) - 1))
    held_out = draws < np.uint64(int(rate * 2**64))
    if (partition.source, partition.ordinal) == (0, 0):
        held_out[np.argsort(draws, kind="stable")[:2]] = True
    return held_out
