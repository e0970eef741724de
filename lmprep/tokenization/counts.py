"""The distinct words of a corpus with their counts: what every algorithm learns from.

Text is cut into chunks as for encoding (`rules`), each distinct chunk into words (`block_words`),
and the counts of words are added up (`word_sum`): exact 64-bit integers, in bounded memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lmprep.ragged import offsets_of
from lmprep.tokenization.counted_words import CountedWords
from lmprep.tokenization.word_order import order_of


@dataclass(frozen=True, eq=False)
class WordCounts(CountedWords):
    """The W distinct words of a corpus, the most frequent first, equals by code points.

    Args:
        text, offsets, counts: as in `CountedWords`; words as the pre-tokenizer gives them.
        forgotten_words: distinct words that were left out since there was no room for them, none
            of them more frequent than any that is here.
        forgotten_occurrences: how often those occur, together.
    """

    forgotten_words: int = 0
    forgotten_occurrences: int = 0

    @property
    def occurrences(self) -> int:
        """How often all words occur, the forgotten ones with them."""
        return int(self.counts.sum()) + self.forgotten_occurrences

    def characters(self) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """The code points of all words, one after another, and where each word begins [W + 1]."""
        codes = np.frombuffer(self.text.tobytes().decode().encode("utf-32-le"), np.uint32)
        begins = (self.text & 0xC0) != 0x80
        return codes, offsets_of(np.add.reduceat(begins, self.offsets[:-1], dtype=np.int64))

    @cached_property
    def words(self) -> list[str]:
        """The words as strings, made when they are first asked for."""
        return self.first(len(self))

    def first(self, number: int) -> list[str]:
        """The `number` most frequent words, or all, as strings."""
        bounds = self.offsets[: number + 1].tolist()
        data = self.text[: bounds[-1]].tobytes()
        return [data[a:b].decode() for a, b in pairwise(bounds)]


def in_order(
    words: CountedWords, *, forgotten_words: int = 0, forgotten_occurrences: int = 0
) -> WordCounts:
    """Distinct words as `WordCounts`."""
    ordered = words.take(order_of(words))
    return WordCounts(
        ordered.text, ordered.offsets, ordered.counts, forgotten_words, forgotten_occurrences
    )
