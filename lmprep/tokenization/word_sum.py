"""Add up the counts of words exactly, in bounded memory.

Words are added up in a table of at most `most_bytes`. When it is full it is written to a temporary
folder, in parts by the words' hashes, and emptied. All that was written of a word is in one part,
so at the end each part is added up on its own. Only the outcome may be cut: where the distinct
words take more than `learnt_bytes` the rarest are left out, and of those as rare as the last one
kept a sample by their hashes, so that no beginning of the text or the alphabet is favoured. What
comes out is a function of the words and their counts, whatever the order they come in, how they
are divided, and the size of the table.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from lmprep.tokenization.counted_words import NO_WORDS, CountedWords, joined, saved_words
from lmprep.tokenization.counts import WordCounts, in_order
from lmprep.tokenization.word_table import WordTable, hash_words

MOST_BYTES = 1_000_000_000
"""Memory for the table: 16 million distinct words with up to 27 bytes of text each."""

LEARNT_BYTES = 250_000_000
"""Memory for the words that are learnt from: some 10 million of English."""

_PART_BITS = 6  # each of 64 parts must fit into memory


class WordSum:
    """The sum of counts, a context manager: its temporary folder goes when the block ends.

    Args:
        most_bytes: memory for the table.
        learnt_bytes: memory for the words that come out.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, learnt_bytes: int = LEARNT_BYTES) -> None:
        self._learnt_bytes = learnt_bytes
        self._table = WordTable(most_bytes)
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> WordSum:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, words: CountedWords) -> None:
        """Add the counts of some words.

        Raises:
            OSError: the temporary folder cannot be written to.
        """
        first = 0
        while (first := self._table.add(words, first)) < len(words):
            self._spill()

    def total(self) -> WordCounts:
        """The words with their sums; to be called once, at the end.

        Raises:
            ValueError: there is not one word.
        """
        if self._folder is None:
            return self._outcome([self._table.words()])
        self._spill()
        return self._outcome(self._parts(Path(self._folder.name)))

    def _spill(self) -> None:
        """Move the words of the table to the files of their parts."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(
                prefix="lmprep-counts-", ignore_cleanup_errors=True
            )
        words = self._table.words()
        part_of = (hash_words(words) >> np.uint64(64 - _PART_BITS)).astype(np.uint8)
        order = np.argsort(part_of, kind="stable")
        ends = np.cumsum(np.bincount(part_of, minlength=1 << _PART_BITS))
        parts = enumerate(np.split(order, ends[:-1]))
        for part, places in ((part, places) for part, places in parts if len(places)):
            with Path(self._folder.name, f"{part:02}").open("ab") as file:
                words.take(places).save(file)
        self._table.clear()

    def _parts(self, folder: Path) -> Iterator[CountedWords]:
        """Each part added up; no word is in two of them."""
        self._table = WordTable()  # the large one goes
        for path in sorted(folder.iterdir()):
            for words in saved_words(path):
                self._table.add(words)
            yield self._table.words()
            self._table.clear()

    def _outcome(self, parts: Iterable[CountedWords]) -> WordCounts:
        """The words of all parts, no word being in two, in order, and cut to what fits."""
        kept = NO_WORDS
        words = occurrences = 0
        for part in parts:
            words += len(part)
            occurrences += int(part.counts.sum())
            kept = joined([kept, part])
            if kept.size > 2 * self._learnt_bytes:
                kept = _most_frequent(kept, self._learnt_bytes)
        if not words:
            raise ValueError("the text is empty: there is not one word to learn from")
        if kept.size > self._learnt_bytes:
            kept = _most_frequent(kept, self._learnt_bytes)
        return in_order(
            kept,
            forgotten_words=words - len(kept),
            forgotten_occurrences=occurrences - int(kept.counts.sum()),
        )


def _most_frequent(words: CountedWords, most_bytes: int) -> CountedWords:
    """The most frequent words that fit, at least one; of equals those with the lower hash.

    What fits of some words has in it all of them that fit of more words, so this can be done
    before all words are known.
    """
    order = np.lexsort((hash_words(words), -words.counts))
    kept = int(np.searchsorted(np.cumsum(words.sizes[order]), most_bytes, side="right"))
    return words.take(order[: max(kept, 1)])


def add_up(
    parts: Iterable[CountedWords],
    *,
    most_bytes: int = MOST_BYTES,
    learnt_bytes: int = LEARNT_BYTES,
) -> WordCounts:
    """The sum of the counts in all parts; the same for every order and division of them.

    Raises:
        ValueError: there is not one word.
    """
    with WordSum(most_bytes, learnt_bytes) as total:
        for part in parts:
            total.add(part)
        return total.total()
