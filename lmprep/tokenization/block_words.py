"""The words of blocks of text, with their counts: the encoder's scan, numbering words.

A scan whose model gives every new word the next number yields a stream of numbers, which are then
counted. What stands in the cache is turned into words at the end of a block: as it is, or as the
library cuts it, once for each distinct chunk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lmprep.ragged import Ragged, offsets_of
from lmprep.tokenization.counted_words import CountedWords, joined
from lmprep.tokenization.pieces.printable import PRINTABLE_UTF8
from lmprep.tokenization.pipelines import SPACE as SIGN
from lmprep.tokenization.rules import BERT, BYTE_LEVEL
from lmprep.tokenization.scanning.code_points import PART
from lmprep.tokenization.scanning.code_points import SPACE as CHARACTER_SPACE
from lmprep.tokenization.scanning.cuts import cut_of
from lmprep.tokenization.scanning.scanner import Scanner
from lmprep.tokenization.scanning.word_cache import LONG_USED, SHORT_USED, kept_words

Numbers = NDArray[np.int64]

MOST_WORDS = 1 << 20
"""Distinct words remembered from one block to the next: some 100 MB."""
_SCANNED = 1 << 20  # bytes of text scanned at a time
_SPACE = 0x20
_NO_IDS = np.empty(0, np.int32)
_NO_FLAGS = np.empty(0, np.bool_)


def words_of(tokenizer: Tokenizer, text: str) -> list[str]:
    """What the model of this tokenizer would be given for a text."""
    if tokenizer.normalizer is not None:
        text = tokenizer.normalizer.normalize_str(text)
    if tokenizer.pre_tokenizer is None:
        return [text]
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


class BlockWords:
    """Finds the words of blocks of text. Holds a cache.

    Args:
        tokenizer: its normalizer and pre-tokenizer count, its model does not.
        special: special tokens at which its pre-tokenizer cuts words in two.
        most_words: distinct words remembered; somewhat more within `_SCANNED` bytes.

    Attributes:
        scanner: numbers the words.
    """

    def __init__(
        self, tokenizer: Tokenizer, special: tuple[str, ...] = (), most_words: int = MOST_WORDS
    ) -> None:
        cut = cut_of(tokenizer, special)
        assert cut is not None, "our own pipelines have a rule"
        self._tokenizer = tokenizer
        self._most_words = most_words
        self._rule = cut.rule
        # Bytes that stand for themselves in a chunk: ASCII that nothing happens to.
        kinds = cut.points.tables.kinds[:256]
        self._is_simple = np.isin(kinds, (PART, CHARACTER_SPACE)) & (np.arange(256) < 0x80)
        # What only the library can cut, and words too long to be kept, with their counts.
        self._others: Counter[str] = Counter()
        unlimited = 1 << 62  # we empty the cache ourselves, before numbers are given anew
        self.scanner = Scanner(cut.numbering(), _NO_IDS, self._count_other, unlimited)

    def count_block(self, text: NDArray[np.uint8], sentence_offsets: Numbers) -> CountedWords:
        """The words of sentences with their counts; one may be there several times.

        Args:
            text: uint8, UTF-8.
            sentence_offsets: int64 [S + 1], into `text`.
        """
        parts = []
        counts = np.zeros(0, np.int64)
        for offsets in _runs(sentence_offsets):
            numbers = self.scanner.encode(text, offsets)[0]
            counts = _added(counts, np.bincount(numbers))
            if self._remembered() > self._most_words:
                parts.append(self._words(counts))
                counts = np.zeros(0, np.int64)
                self.scanner.forget()
        parts += [self._words(counts), self._other_words()]
        return joined(parts)

    def _remembered(self) -> int:
        return int(self.scanner.cache.used[SHORT_USED] + self.scanner.cache.used[LONG_USED])

    def _words(self, counts: Numbers) -> CountedWords:
        """The words of the numbers that occurred."""
        text, offsets, numbers = kept_words(self.scanner.cache)
        known = _added(counts, np.zeros(len(numbers), np.int64))[numbers]
        places = np.flatnonzero(known)
        kept = Ragged(text, offsets).take(places)
        words = CountedWords(kept.values, kept.offsets, known[places])
        if self._rule == BERT:
            return words
        return _printable(words) if self._rule == BYTE_LEVEL else self._cut(words)

    def _cut(self, chunks: CountedWords) -> CountedWords:
        """The words of chunks: the simple ones at once, the others as the library cuts them."""
        is_simple = np.zeros(len(chunks), np.bool_)
        if len(chunks):
            is_simple = np.logical_and.reduceat(self._is_simple[chunks.text], chunks.offsets[:-1])
        others = chunks.take(np.flatnonzero(~is_simple))
        data, bounds = others.text.tobytes(), others.offsets.tolist()
        cut = [words_of(self._tokenizer, data[a:b].decode()) for a, b in pairwise(bounds)]
        counts = np.repeat(others.counts, [len(words) for words in cut])
        found = CountedWords.of([word for words in cut for word in words], counts.tolist())
        return joined([_signed(chunks.take(np.flatnonzero(is_simple))), found])

    def _count_other(self, text: str) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        self._others[text] += 1
        return _NO_IDS, _NO_FLAGS

    def _other_words(self) -> CountedWords:
        found = [
            (word, count)
            for text, count in self._others.items()
            for word in words_of(self._tokenizer, text)
        ]
        self._others.clear()
        return CountedWords.of([word for word, _ in found], [count for _, count in found])


def _added(counts: Numbers, more: Numbers) -> Numbers:
    """The sum of two arrays, the shorter one filled up with zeros."""
    longer, shorter = (counts, more) if len(counts) >= len(more) else (more, counts)
    total = longer.copy()
    total[: len(shorter)] += shorter
    return total


def _signed(chunks: CountedWords) -> CountedWords:
    """Chunks with Metaspace's sign instead of the space before them, or before what has none."""
    sign = np.frombuffer(SIGN.encode(), np.uint8)
    has_space = chunks.text[chunks.offsets[:-1]] == _SPACE
    kept = np.ones(len(chunks.text), np.bool_)
    kept[chunks.offsets[:-1][has_space]] = False
    offsets = offsets_of(np.diff(chunks.offsets) - has_space + len(sign))
    signs = (offsets[:-1, None] + np.arange(len(sign))).ravel()
    text = np.empty(offsets[-1], np.uint8)
    text[signs] = np.tile(sign, len(chunks))
    is_text = np.ones(len(text), np.bool_)
    is_text[signs] = False
    text[is_text] = chunks.text[kept]
    return CountedWords(text, offsets, chunks.counts)


def _printable(words: CountedWords) -> CountedWords:
    """Bytes as the characters that stand for them in byte-level vocabularies."""
    pairs = PRINTABLE_UTF8[words.text]
    is_there = pairs != 0
    is_there[:, 0] = True
    ends = offsets_of(is_there.sum(axis=1))
    return CountedWords(pairs[is_there], ends[words.offsets], words.counts)


def _runs(offsets: Numbers) -> Iterator[Numbers]:
    """Sentence offsets in runs of about `_SCANNED` bytes, at least one sentence each."""
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + _SCANNED, side="right")) - 1
        last = max(last, first + 1)
        yield offsets[first : last + 1]
        first = last
