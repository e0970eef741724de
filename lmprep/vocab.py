"""A corpus -> a tokenizer folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from lmprep import __version__
from lmprep.batches import Documents
from lmprep.corpus import (
    InputFile,
    empty_corpus,
    expand,
    icu_version,
    plan_sources,
    read_partitions,
    split_sentences,
)
from lmprep.errors import UsageError
from lmprep.files import json_sha256
from lmprep.settings import CorpusSettings, VocabSettings
from lmprep.tokenization import folder as tokenizer_folder
from lmprep.tokenization.learning import learn

log = logging.getLogger("lmprep")

# Sentences reach the learners in batches of this much text.
_PARTITION_BYTES = 16_000_000
_BATCH_SENTENCES = 10_000

# Raised whenever the same settings and text would give another vocabulary than before.
ALGORITHMS = 1


def fingerprint(
    inputs: Sequence[InputFile], settings: VocabSettings, corpus: CorpusSettings
) -> str:
    """SHA-256 over all that determines a vocabulary; inputs count by name and size."""
    return json_sha256(
        {
            "settings": settings.as_dict(),
            "corpus": corpus.as_dict(),
            "inputs": [{"name": file.name, "bytes": file.bytes} for file in inputs],
            "algorithms": ALGORITHMS,
            "icu": icu_version(),
        }
    )


def make_vocabulary(
    arguments: Sequence[str],
    out: Path,
    settings: VocabSettings,
    corpus: CorpusSettings,
    on_text: Callable[[int], object] = lambda _: None,
) -> dict[str, Any]:
    """Learn a vocabulary from a corpus and write its folder.

    Args:
        arguments: files, globs, or `-`.
        out: the tokenizer folder, which must not exist.
        on_text: called with the bytes of text read since the last call.

    Returns:
        The content of `training.json`.
    """
    if out.exists():
        raise UsageError("the folder already exists", path=out, fix="Choose another -o")
    inputs = expand(arguments, format=corpus.format)
    sources = plan_sources(inputs, corpus, _PARTITION_BYTES)
    counted = {"documents": 0, "sentences": 0, "text_bytes": 0}

    def texts() -> Iterator[list[str]]:
        for source in sources:
            for partition in read_partitions(source, corpus, _PARTITION_BYTES):
                for warning in partition.warnings:
                    log.warning("%s", warning)
                documents, _ = split_sentences(partition, corpus)
                counted["documents"] += len(documents)
                counted["sentences"] += len(documents.sentence_offsets) - 1
                counted["text_bytes"] += len(documents.text)
                on_text(len(partition.text))
                yield from _batches(documents)
        if not counted["sentences"]:
            raise empty_corpus(inputs)

    try:
        tokenizer = learn(texts(), settings)
    except ValueError as error:
        raise UsageError(str(error), fix="Change --size or the corpus") from None
    training = {
        "lmprep": __version__,
        "settings": settings.as_dict(),
        "corpus": corpus.as_dict(),
        "inputs": [{"name": file.name, "bytes": file.bytes} for file in inputs],
        "fingerprint": fingerprint(inputs, settings, corpus),
        "vocabulary_size": tokenizer.get_vocab_size(),
        **counted,
    }
    tokenizer_folder.save(tokenizer, out, settings, training)
    return training


def _batches(documents: Documents) -> Iterator[list[str]]:
    """The sentences as strings, which is what the learners take."""
    text, offsets = documents.text.tobytes(), documents.sentence_offsets
    for start in range(0, len(offsets) - 1, _BATCH_SENTENCES):
        bounds = offsets[start : start + _BATCH_SENTENCES + 1].tolist()
        yield [text[a:b].decode() for a, b in pairwise(bounds)]
