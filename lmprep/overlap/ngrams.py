"""Keys of n-grams and documents, and a table of keys in which those found again are marked.

A unit is a word's hash, or a token's. The key of units u_1 ... u_n is

    mix(u_1 * B^(n-1) + u_2 * B^(n-2) + ... + u_n)        modulo 2^64

and that of a document the same over all its units, with another B. A unit 0 stands for what
nothing may reach across: no n-gram holds it, and a document's key leaves it out.
Keys have 64 bits: of a hundred comparisons of 10^10 n-grams with a table of 2^24, one finds an
n-gram that is not there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel, inline_kernel
from lmprep.keyed_random import mix
from lmprep.ragged import Ragged

Keys = NDArray[np.uint64]

_NGRAM_BASE = np.uint64(0x9E3779B97F4A7C15)
_DOCUMENT_BASE = np.uint64(0xD1342543DE82EF95)
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_LEAST_SLOTS = 1 << 10


def ngram_keys(units: Ragged, n: int) -> Keys:
    """The key of the n-gram that ends at each unit, uint64 [W]; 0 where none does."""
    keys = np.zeros(len(units.values), np.uint64)
    _ngram_keys(units.values, units.offsets, n, keys)
    return keys


def document_keys(units: Ragged) -> Keys:
    """The key of each document, uint64 [D]; 0 where it has no units."""
    keys = np.zeros(len(units), np.uint64)
    _document_keys(units.values, units.offsets, keys)
    return keys


@bare_kernel
def _ngram_keys(units: Keys, offsets: NDArray[np.int64], n: int, keys: Keys) -> None:
    leaving = _ONE  # B^n: what a unit was multiplied with when it leaves
    for _ in range(n):
        leaving = np.uint64(leaving * _NGRAM_BASE)
    for document in range(len(offsets) - 1):
        total, run = _ZERO, 0
        for i in range(offsets[document], offsets[document + 1]):
            if units[i] == _ZERO:
                total, run = _ZERO, 0
                continue
            total = np.uint64(total * _NGRAM_BASE + units[i])
            if run >= n:
                total = np.uint64(total - units[i - n] * leaving)
            run += 1
            if run >= n:
                keys[i] = max(mix(total), _ONE)


@bare_kernel
def _document_keys(units: Keys, offsets: NDArray[np.int64], keys: Keys) -> None:
    for document in range(len(offsets) - 1):
        total, some = _ZERO, False
        for i in range(offsets[document], offsets[document + 1]):
            if units[i] != _ZERO:
                total = np.uint64(total * _DOCUMENT_BASE + units[i])
                some = True
        if some:
            keys[document] = max(mix(total), _ONE)


class Table:
    """Keys with a mark each: open addressing, at most half full, 9 bytes a slot."""

    def __init__(self) -> None:
        self._slots = np.zeros(_LEAST_SLOTS, np.uint64)
        self._marks = np.zeros(_LEAST_SLOTS, np.bool_)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def add(self, keys: Keys) -> None:
        """Enter keys; 0 is none."""
        for start in range(0, len(keys), _LEAST_SLOTS):
            block = keys[start : start + _LEAST_SLOTS]
            if 2 * (self._used + len(block)) > len(self._slots):
                self._grow()
            self._used += _add(self._slots, block)

    def _grow(self) -> None:
        old, self._slots = self._slots, np.zeros(4 * len(self._slots), np.uint64)
        self._marks = np.zeros(len(self._slots), np.bool_)  # nothing is marked while keys come
        _add(self._slots, old)

    def mark(self, keys: Keys) -> None:
        """Mark those of the keys that are in the table."""
        _mark(self._slots, self._marks, keys)

    def is_marked(self, keys: Keys) -> NDArray[np.bool_]:
        """Which of the keys are in the table and marked."""
        found = np.zeros(len(keys), np.bool_)
        _look_up(self._slots, self._marks, keys, found)
        return found


@inline_kernel
def _slot(slots: Keys, key: np.uint64) -> int:
    """Where a key is, or the free slot where it would be."""
    mask = np.uint64(len(slots) - 1)
    place = key & mask
    while slots[place] != _ZERO and slots[place] != key:
        place = (place + _ONE) & mask
    return np.int64(place)  # type: ignore[return-value]  # numba's int


@bare_kernel
def _add(slots: Keys, keys: Keys) -> int:
    added = 0
    for key in keys:
        if key != _ZERO:
            place = _slot(slots, key)
            added += slots[place] == _ZERO
            slots[place] = key
    return added


@bare_kernel
def _mark(slots: Keys, marks: NDArray[np.bool_], keys: Keys) -> None:
    for key in keys:
        if key != _ZERO:
            place = _slot(slots, key)
            if slots[place] == key:
                marks[place] = True


@bare_kernel
def _look_up(slots: Keys, marks: NDArray[np.bool_], keys: Keys, found: NDArray[np.bool_]) -> None:
    for i in range(len(keys)):
        if keys[i] != _ZERO:
            place = _slot(slots, keys[i])
            found[i] = slots[place] == keys[i] and marks[place]
