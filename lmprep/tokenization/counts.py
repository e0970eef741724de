"""Count the words of a corpus in one pass, in memory that does not grow with it.

Text is cut into chunks as for encoding (`rules`), the chunks are counted, and only the distinct
ones are normalized and cut into words. Counts are exact 64-bit integers unless the corpus has more
distinct chunks than fit; then the rarest are forgotten, and a warning says so.
"""

from __future__ import annotations

import logging
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

MOST_CHUNKS = 1 << 23
"""Distinct chunks counted at most: about 1 GB."""


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
    texts: Iterable[list[str]], tokenizer: Tokenizer, *, most_chunks: int = MOST_CHUNKS
) -> WordCounts:
    """Count the words that a tokenizer's normalizer and pre-tokenizer make of the text.

    Args:
        texts: batches of sentences, read once.
        tokenizer: its model does not matter.
        most_chunks: distinct chunks held at most.

    Raises:
        ValueError: there is not one word in the text.
    """
    words: Counter[str] = Counter()
    for chunk, count in _count_chunks(texts, cut_rule(tokenizer), most_chunks).items():
        for word in words_of(tokenizer, chunk):
            words[word] += count
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


def _count_chunks(texts: Iterable[list[str]], rule: int, most_chunks: int) -> Counter[str]:
    """How often each distinct chunk occurs."""
    assert rule != SENTENCE, "our own pipelines have a rule, or counting would keep whole sentences"
    table = ChunkTable(rule)
    counts = np.zeros(table.max_entries, np.int64)
    total: Counter[str] = Counter()
    for batch in texts:
        encoded = [text.encode() for text in batch]
        data = np.frombuffer(b"".join(encoded), np.uint8)
        chunks = table.scan(data, offsets_of([len(text) for text in encoded]))
        known = chunks.numbers[chunks.numbers >= 0]
        np.add.at(counts, known, 1)
        total.update(data[a:b].tobytes().decode() for a, b in chunks.loose.tolist())
        if table.is_full:
            _pour(table, counts, total)
        _forget_rarest(total, most_chunks)
    _pour(table, counts, total)
    return total


def _pour(table: ChunkTable, counts: NDArray[np.int64], total: Counter[str]) -> None:
    """Move the table's counts into `total`."""
    for chunk, count in zip(table.texts(0), counts.tolist(), strict=False):
        total[chunk] += count
    table.clear()
    counts.fill(0)


def _forget_rarest(total: Counter[str], most_chunks: int) -> None:
    """Of too many chunks, drop those seen once, then twice, ... until half are left."""
    if len(total) <= most_chunks:
        return
    logger.warning("more than %d distinct words: forgetting the rarest ones so far", most_chunks)
    least = 1
    while len(total) > most_chunks // 2:
        for chunk in [chunk for chunk, count in total.items() if count <= least]:
            del total[chunk]
        least += 1
