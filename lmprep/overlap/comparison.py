"""Counts of what EVAL shares with TRAIN, in memory that neither decides.

The keys of EVAL's n-grams and documents stand in a table; TRAIN is read once and marks what it
holds; then EVAL is read again and what is marked is counted. Where EVAL has more n-grams than a
table holds, all this is done several times, each time for the keys of one residue class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmprep.overlap.ngrams import Keys, Table, document_keys, ngram_keys
from lmprep.overlap.reading import Corpus
from lmprep.ragged import Ragged

# N-grams of EVAL in a table: up to 300 MB.
_TABLE_KEYS = 1 << 24
_CLASS_SHIFT = np.uint64(40)  # the lowest bits of a key say where in the table it is


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """What was found.

    Args:
        n: units in an n-gram.
        train_documents, train_units: what TRAIN holds; documents without a unit are left out.
        documents, units, ngrams: what EVAL holds, every occurrence counted.
        shared_documents: of EVAL that are in TRAIN: the same units in the same order.
        touched_documents: of EVAL with an n-gram that is in TRAIN.
        short_documents: of EVAL without any n-gram.
        shared_ngrams: of EVAL that are in TRAIN.
    """

    n: int
    train_documents: int
    train_units: int
    documents: int
    units: int
    ngrams: int
    shared_documents: int
    touched_documents: int
    short_documents: int
    shared_ngrams: int


def compare(train: Corpus, evaluation: Corpus, n: int) -> Overlap:
    """Compare two corpora.

    Args:
        train, evaluation: as `open_corpora` gives them.
        n: units in an n-gram.
    """
    if n < 1:
        raise ValueError(f"n {n} must be at least 1")
    size = _Size(n)
    for units in evaluation():
        size.add(units)
    touched = np.zeros(size.documents, np.bool_)
    train_size = _Size(n)
    shared_documents = shared_ngrams = 0
    classes = max(1, -(-size.ngrams // _TABLE_KEYS))
    for number in range(classes):
        table = Table()
        for _, ngrams, documents in _keys(evaluation(), n, classes, number):
            table.add(ngrams)
            table.add(documents)
        for units, ngrams, documents in _keys(train(), n, 1, 0):
            table.mark(ngrams)
            table.mark(documents)
            if number == 0:
                train_size.add(units)
        first = 0
        for units, ngrams, documents in _keys(evaluation(), n, classes, number):
            shared_documents += int(table.is_marked(documents).sum())
            found = table.is_marked(ngrams)
            shared_ngrams += int(found.sum())
            before = np.append(0, np.cumsum(found))[units.offsets]
            touched[first : first + len(units)] |= np.diff(before) > 0
            first += len(units)
    return Overlap(
        n=n,
        train_documents=train_size.filled,
        train_units=train_size.units,
        documents=size.filled,
        units=size.units,
        ngrams=size.ngrams,
        shared_documents=shared_documents,
        touched_documents=int(touched.sum()),
        short_documents=size.short,
        shared_ngrams=shared_ngrams,
    )


class _Size:
    """How much a corpus holds."""

    def __init__(self, n: int) -> None:
        self._n = n
        self.documents = self.filled = self.short = self.units = self.ngrams = 0

    def add(self, units: Ragged) -> None:
        filled = np.diff(_count_before(units.values != 0, units)) > 0
        ngrams = np.diff(_count_before(ngram_keys(units, self._n) != 0, units))
        self.documents += len(units)
        self.filled += int(filled.sum())
        self.short += int((filled & (ngrams == 0)).sum())
        self.units += int(np.count_nonzero(units.values))
        self.ngrams += int(ngrams.sum())


def _count_before(flags: NDArray[np.bool_], units: Ragged) -> NDArray[np.int64]:
    """How many units before each document's begin, and before the end, are flagged."""
    counts: NDArray[np.int64] = np.append(0, np.cumsum(flags))[units.offsets]
    return counts


def _keys(
    corpus: Iterator[Ragged], n: int, classes: int, number: int
) -> Iterator[tuple[Ragged, Keys, Keys]]:
    """Units with the keys of their n-grams and documents; 0 for those of other classes."""
    for units in corpus:
        ngrams, documents = ngram_keys(units, n), document_keys(units)
        if classes > 1:
            for keys in (ngrams, documents):
                keys[(keys >> _CLASS_SHIFT) % np.uint64(classes) != number] = 0
        yield units, ngrams, documents
