"""Count the words of a corpus in one pass, in memory that does not grow with it.

Text is cut into chunks as for encoding (`rules`), the chunks are counted, and only the distinct
ones are normalized and cut into words: at the end, or when they fill half of the memory there is.
(Where a script has no spaces a chunk is a sentence, and hardly ever comes again; its words do.)
Counts are exact 64-bit integers unless the distinct words fill the other half; then the rarest are
forgotten, and a warning says so.
"""

from __future__ import annotations

import logging
import sys
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lmprep.ragged import offsets_of
from lmprep.tokenization.rules import SENTENCE, cut_rule
from lmprep.tokenization.scan import ChunkTable

logger = logging.getLogger("lmprep")

MOST_BYTES = 1_000_000_000
"""Memory for counts; beside it there are 100 MB for the table of recent chunks, and one batch."""

# What an entry takes beside its text: at most 60 bytes in the dictionary and 32 for the number.
_ENTRY_BYTES = 100


@dataclass(frozen=True, eq=False)
class WordCounts:
    """The distinct words of a corpus.

    Args:
        words: as the pre-tokenizer gives them, the most frequent first, equals by code points.
        counts: int64 [W], how often each occurs.
    """

    words: list[str]
    counts: NDArray[np.int64]

    def characters(self) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """The code points of all words, one after another, and where each word begins [W + 1]."""
        codes = np.frombuffer("".join(self.words).encode("utf-32-le"), np.uint32)
        return codes, offsets_of([len(word) for word in self.words])


def count_words(
    texts: Iterable[list[str]], tokenizer: Tokenizer, *, most_bytes: int = MOST_BYTES
) -> WordCounts:
    """Count the words that a tokenizer's normalizer and pre-tokenizer make of the text.

    Args:
        texts: batches of sentences, read once.
        tokenizer: its model does not matter.
        most_bytes: memory for counts; a single chunk or word that does not fit may exceed it.

    Raises:
        ValueError: there is not one word in the text.
    """
    words = _count_chunks(texts, cut_rule(tokenizer), _Counting(tokenizer, most_bytes)).words()
    if not words:
        raise ValueError("the text is empty: there is not one word to learn from")
    ordered = sorted(words.items(), key=lambda item: (-item[1], item[0]))
    return WordCounts([w for w, _ in ordered], np.array([c for _, c in ordered], np.int64))


def words_of(tokenizer: Tokenizer, text: str) -> list[str]:
    """What the model of this tokenizer would be given for a text."""
    if tokenizer.normalizer is not None:
        text = tokenizer.normalizer.normalize_str(text)
    if tokenizer.pre_tokenizer is None:
        return [text]
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def _count_chunks(texts: Iterable[list[str]], rule: int, counting: _Counting) -> _Counting:
    """Count every chunk; those that come again soon are counted in a table."""
    assert rule != SENTENCE, "our own pipelines have a rule, or counting would keep whole sentences"
    table = ChunkTable(rule)
    counts = np.zeros(table.max_entries, np.int64)
    for batch in texts:
        encoded = [text.encode() for text in batch]
        data = np.frombuffer(b"".join(encoded), np.uint8)
        chunks = table.scan(data, offsets_of([len(text) for text in encoded]))
        known = chunks.numbers[chunks.numbers >= 0]
        np.add.at(counts, known, 1)
        for a, b in chunks.loose.tolist():
            counting.add(data[a:b].tobytes().decode(), 1)
        if table.is_full:
            _pour(table, counts, counting)
    _pour(table, counts, counting)
    return counting


def _pour(table: ChunkTable, counts: NDArray[np.int64], counting: _Counting) -> None:
    """Move the table's counts into `counting`."""
    for chunk, count in zip(table.texts(0), counts.tolist(), strict=False):
        counting.add(chunk, count)
    table.clear()
    counts.fill(0)


class _Counting:
    """Counts of chunks, and of the words of those that were cut: half of the memory for each."""

    def __init__(self, tokenizer: Tokenizer, most_bytes: int) -> None:
        self._tokenizer = tokenizer
        self._most = most_bytes // 2
        self._chunks, self._words = _Tally(), _Tally()

    def add(self, chunk: str, count: int) -> None:
        """Count a chunk `count` times."""
        self._chunks.add(chunk, count)
        if self._chunks.bytes > self._most:
            self._cut()

    def words(self) -> Counter[str]:
        """The counts of all words."""
        self._cut()
        return self._words.counts

    def _cut(self) -> None:
        """Turn all chunks into words."""
        for chunk, count in self._chunks.counts.items():
            for word in words_of(self._tokenizer, chunk):
                self._words.add(word, count)
                if self._words.bytes > self._most:
                    logger.warning("too many distinct words: forgetting the rarest ones so far")
                    self._words.forget_rarest(self._most // 2)
        self._chunks = _Tally()


class _Tally:
    """Counts of texts, and the bytes of memory they take."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.bytes = 0

    def add(self, text: str, count: int) -> None:
        if text not in self.counts:
            self.bytes += _size(text)
        self.counts[text] += count

    def forget_rarest(self, bytes_left: int) -> None:
        """Keep the most frequent texts that fit; of equals, a sample that no order favours.

        Equals go by a hash of the text. One that comes again is judged as before, so those that
        stay are a fair sample of the whole corpus and not of its beginning or end.
        """
        texts = list(self.counts)
        counts = np.fromiter(self.counts.values(), np.int64, len(texts))
        hashes = np.array([zlib.crc32(text.encode()) for text in texts], np.uint32)
        order = np.lexsort((hashes, -counts))
        sizes = np.cumsum([_size(texts[i]) for i in order])
        kept = int(np.searchsorted(sizes, bytes_left, side="right"))
        self.counts = Counter({texts[i]: int(counts[i]) for i in order[:kept]})
        self.bytes = int(sizes[kept - 1]) if kept else 0


def _size(text: str) -> int:
    return sys.getsizeof(text) + _ENTRY_BYTES
