"""A corpus -> a tokenizer folder.

Partitions are counted one by one, each a pure function of its text and the settings, and the counts
added up, which comes out the same in every order; so an engine may run them anywhere. Then the
vocabulary is learnt from the counts, here.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmprep import __version__
from lmprep.allocator import hand_back_freed_memory
from lmprep.batches import Documents
from lmprep.corpus import (
    InputFile,
    Partition,
    Source,
    empty_corpus,
    expand,
    icu_version,
    plan_sources,
    read_partitions,
    split_sentences,
)
from lmprep.errors import LmprepError, UsageError
from lmprep.files import json_sha256
from lmprep.settings import CorpusSettings, VocabSettings
from lmprep.tokenization import folder as tokenizer_folder
from lmprep.tokenization.counted_words import NO_WORDS, CountedWords
from lmprep.tokenization.counts import WordCounts
from lmprep.tokenization.families import pieces_that_fit
from lmprep.tokenization.learning import learn_with_facts, word_finder
from lmprep.tokenization.word_sum import WordSum
from lmprep.vocabulary_report import Samples, beginning_of

log = logging.getLogger("lmprep")

PARTITION_BYTES = 16_000_000

# Raised whenever the same settings and text would give another vocabulary than before.
ALGORITHMS = 3


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


@dataclass(frozen=True, kw_only=True)
class Counting:
    """What a worker must know to count the words of any partition.

    Args:
        settings: of the vocabulary: they decide what a word is.
        corpus: how text is read.
        partition_bytes: text counted at a time.
        stdin: index of the source that is standard input; -1 if none is.
        beginning_bytes: text of the beginning of standard input that is handed over.
    """

    settings: VocabSettings
    corpus: CorpusSettings
    partition_bytes: int = PARTITION_BYTES
    stdin: int = -1
    beginning_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What was found in some partitions.

    Args:
        words: their words.
        documents, sentences, text_bytes: how many there are, and the text of the sentences.
        read_bytes: text as read, for progress.
        warnings: what the user should know.
        beginning: the first sentences of standard input, if they are among them.
    """

    words: CountedWords = NO_WORDS
    documents: int = 0
    sentences: int = 0
    text_bytes: int = 0
    read_bytes: int = 0
    warnings: tuple[str, ...] = ()
    beginning: Documents | None = None


class PartitionCounter:
    """Counts partitions, one after another, with one cache of words, in memory that stays."""

    def __init__(self, counting: Counting) -> None:
        hand_back_freed_memory()
        self._counting = counting
        self._finder = word_finder(counting.settings)

    def count(self, partition: Partition) -> Counted:
        """The words of a partition."""
        documents, _ = split_sentences(partition, self._counting.corpus)
        return Counted(
            words=self._finder.count_block(documents.text, documents.sentence_offsets),
            documents=len(documents),
            sentences=len(documents.sentence_offsets) - 1,
            text_bytes=len(documents.text),
            read_bytes=len(partition.text),
            warnings=partition.warnings,
            beginning=self._beginning(partition, documents),
        )

    def _beginning(self, partition: Partition, documents: Documents) -> Documents | None:
        first = (partition.source, partition.ordinal) == (self._counting.stdin, 0)
        if not first or not len(documents):
            return None
        return beginning_of(documents, self._counting.beginning_bytes)


OnCounted = Callable[[Counted], object]
Engine = Callable[[Counting, Sequence[Source], OnCounted], None]
"""Counts all partitions of the sources, in any order, and reports what it finds, in any pieces."""


def count_here(counting: Counting, sources: Sequence[Source], on_counted: OnCounted) -> None:
    """The engine that counts in this process."""
    counter = PartitionCounter(counting)
    for source in sources:
        for partition in read_partitions(source, counting.corpus, counting.partition_bytes):
            on_counted(counter.count(partition))


def make_vocabulary(
    arguments: Sequence[str],
    out: Path,
    settings: VocabSettings,
    corpus: CorpusSettings,
    on_text: Callable[[int], object] = lambda _: None,
    *,
    engine: Engine = count_here,
    partition_bytes: int = PARTITION_BYTES,
) -> dict[str, Any]:
    """Learn a vocabulary from a corpus and write its folder.

    Args:
        arguments: files, globs, or `-`.
        out: the tokenizer folder, which must not exist.
        on_text: called with the bytes of text read since the last call.
        engine: where the words are counted; what is learnt does not depend on it,
        partition_bytes: ... nor on how much text is counted at a time.

    Returns:
        The content of `training.json`.
    """
    if out.exists():
        raise UsageError("the folder already exists", path=out, fix="Choose another -o")
    inputs = expand(arguments, format=corpus.format)
    samples = Samples(plan_sources(inputs, corpus, partition_bytes), corpus)
    counting = Counting(
        settings=settings,
        corpus=corpus,
        partition_bytes=partition_bytes,
        stdin=samples.stdin,
        beginning_bytes=samples.most_bytes,
    )
    try:
        pieces_that_fit(settings, 1)  # before the long way through the text
        counted, facts = _count(inputs, samples, counting, engine, on_text)
        learnt = learn_with_facts(counted, settings)
    except ValueError as error:
        raise UsageError(str(error), fix="Change --size or the corpus") from None
    training = {
        "lmprep": __version__,
        "settings": settings.as_dict(),
        "corpus": corpus.as_dict(),
        "inputs": [{"name": file.name, "bytes": file.bytes} for file in inputs],
        "fingerprint": fingerprint(inputs, settings, corpus),
        "vocabulary_size": learnt.tokenizer.get_vocab_size(),
        **learnt.facts,
        **facts,
        "sample": samples.measure(learnt.tokenizer, settings.family),
    }
    tokenizer_folder.save(learnt.tokenizer, out, settings, training)
    return training


def _count(
    inputs: Sequence[InputFile],
    samples: Samples,
    counting: Counting,
    engine: Engine,
    on_text: Callable[[int], object],
) -> tuple[WordCounts, dict[str, int]]:
    """The words of all inputs, and the facts about them for `training.json`."""
    try:
        with WordSum() as words:
            sums = _Sums(words, samples, on_text)
            engine(counting, samples.sources, sums.add)
            if not sums.facts["sentences"]:
                raise empty_corpus(inputs)
            total = words.total()
    except OSError as error:
        raise LmprepError(
            f"counts of words cannot be kept here: {error.strerror or error}",
            path=tempfile.gettempdir(),
            fix="Set TMPDIR to a folder with more room",
        ) from error
    if total.forgotten_words:
        log.warning(
            "%d of %d distinct words are too many to learn from: the rarest (%d occurrences, "
            "%.4f%% of the text) are left out",
            total.forgotten_words,
            total.forgotten_words + len(total),
            total.forgotten_occurrences,
            100 * total.forgotten_occurrences / total.occurrences,
        )
    return total, {
        **sums.facts,
        "words": total.occurrences,
        "distinct_words": total.forgotten_words + len(total),
        "forgotten_words": total.forgotten_words,
        "forgotten_occurrences": total.forgotten_occurrences,
    }


class _Sums:
    """What was found so far; a warning is given once."""

    def __init__(self, words: WordSum, samples: Samples, on_text: Callable[[int], object]) -> None:
        self.facts = {"documents": 0, "sentences": 0, "text_bytes": 0}
        self._words = words
        self._samples = samples
        self._on_text = on_text
        self._said: set[str] = set()

    def add(self, counted: Counted) -> None:
        self._words.add(counted.words)
        for name in self.facts:
            self.facts[name] += getattr(counted, name)
        for warning in counted.warnings:
            if warning not in self._said:
                self._said.add(warning)
                log.warning("%s", warning)
        if counted.beginning is not None:
            self._samples.keep(counted.beginning)
        self._on_text(counted.read_bytes)
