"""Add up the counts of words in memory: a hash table over flat UTF-8 bytes."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel, inline_kernel
from lmprep.ragged import enlarged
from lmprep.tokenization.counted_words import CountedWords

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]

_FEWEST = 16  # words there is room for at first
_WORD_BYTES = 32  # an entry, and two slots for it
_HASH_START = np.uint64(0xCBF29CE484222325)
_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


class _Entries(NamedTuple):
    """Open addressing. E words at most, S = 2 E slots, a power of two."""

    slots: NDArray[np.int32]  # [S], 1 + number of the word in this slot, 0 where there is none
    hashes: NDArray[np.uint64]  # [E]
    offsets: Numbers  # [E + 1], into `text`
    counts: Numbers  # [E]
    text: Bytes
    used: Numbers  # [1], number of words


class WordTable:
    """Distinct words and their counts, in arrays that grow by doubling.

    Args:
        most_bytes: what the arrays take at most. A table of one word takes what it needs.
    """

    def __init__(self, most_bytes: int = sys.maxsize) -> None:
        self._most_bytes = most_bytes
        self._entries = _Entries(
            slots=np.zeros(2 * _FEWEST, np.int32),
            hashes=np.empty(_FEWEST, np.uint64),
            offsets=np.zeros(_FEWEST + 1, np.int64),
            counts=np.empty(_FEWEST, np.int64),
            text=np.empty(8 * _FEWEST, np.uint8),
            used=np.zeros(1, np.int64),
        )

    def __len__(self) -> int:
        return int(self._entries.used[0])

    def add(self, words: CountedWords, first: int = 0) -> int:
        """Add words from number `first` on, until one does not fit.

        Returns:
            The number of the word that does not fit, `len(words)` if all do.
        """
        arrays = words.text, words.offsets, words.counts
        while (first := _add(*arrays, first, self._entries)) < len(words):
            if not self._grow(int(words.offsets[first + 1] - words.offsets[first])):
                break
        return first

    def words(self) -> CountedWords:
        """All words, in order of appearance: views, until the next word is added."""
        entries, used = self._entries, len(self)
        offsets = entries.offsets[: used + 1]
        return CountedWords(entries.text[: offsets[-1]], offsets, entries.counts[:used])

    def clear(self) -> None:
        """Forget all words; the arrays stay."""
        self._entries.slots.fill(0)
        self._entries.used[0] = 0

    def _grow(self, wanted: int) -> bool:
        """Make room for a word of `wanted` bytes; False if there may not be more."""
        entries, used = self._entries, len(self)
        room, text = len(entries.counts), len(entries.text)
        if used == room:
            room *= 2
        text_used = int(entries.offsets[used])
        if text_used + wanted > text:
            text = max(2 * text, text_used + wanted)
        if used and _WORD_BYTES * room + text > self._most_bytes:
            return False
        slots = entries.slots
        if room > len(entries.counts):
            slots = np.zeros(2 * room, np.int32)
            _fill_slots(entries.hashes[:used], slots)
        self._entries = _Entries(
            slots=slots,
            hashes=enlarged(entries.hashes, room),
            offsets=enlarged(entries.offsets, room + 1),
            counts=enlarged(entries.counts, room),
            text=enlarged(entries.text, text),
            used=entries.used,
        )
        return True


def hash_words(words: CountedWords) -> NDArray[np.uint64]:
    """A hash of each word, the same everywhere and always: uint64 [W]."""
    hashes = np.empty(len(words), np.uint64)
    _hash_all(words.text, words.offsets, hashes)
    return hashes


@inline_kernel
def _hash(text: Bytes, start: int, stop: int) -> np.uint64:
    code = _HASH_START
    for i in range(start, stop):
        code = (code ^ np.uint64(text[i])) * _HASH_FACTOR
    return code ^ (code >> _HALF)


@bare_kernel
def _hash_all(text: Bytes, offsets: Numbers, hashes: NDArray[np.uint64]) -> None:
    for word in range(len(hashes)):
        hashes[word] = _hash(text, offsets[word], offsets[word + 1])


@bare_kernel
def _fill_slots(hashes: NDArray[np.uint64], slots: NDArray[np.int32]) -> None:
    mask = len(slots) - 1
    for number in range(len(hashes)):
        slot = np.int64(hashes[number]) & mask
        while slots[slot] != 0:
            slot = (slot + 1) & mask
        slots[slot] = number + 1


@bare_kernel
def _add(text: Bytes, offsets: Numbers, counts: Numbers, first: int, entries: _Entries) -> int:
    """Add words from number `first` on; returns the first that finds no room, or W."""
    mask = len(entries.slots) - 1
    for word in range(first, len(counts)):
        start, stop = offsets[word], offsets[word + 1]
        code = _hash(text, start, stop)
        slot = np.int64(code) & mask
        while entries.slots[slot] != 0:
            number = entries.slots[slot] - 1
            if entries.hashes[number] == code and _is_entry(text, start, stop, entries, number):
                entries.counts[number] += counts[word]
                break
            slot = (slot + 1) & mask
        else:
            number = entries.used[0]
            kept = entries.offsets[number]
            if number == len(entries.counts) or kept + stop - start > len(entries.text):
                return word
            for i in range(stop - start):
                entries.text[kept + i] = text[start + i]
            entries.offsets[number + 1] = kept + stop - start
            entries.hashes[number] = code
            entries.counts[number] = counts[word]
            entries.slots[slot] = number + 1
            entries.used[0] = number + 1
    return len(counts)


@bare_kernel
def _is_entry(text: Bytes, start: int, stop: int, entries: _Entries, number: int) -> bool:
    kept = entries.offsets[number]
    if entries.offsets[number + 1] - kept != stop - start:
        return False
    for i in range(stop - start):  # noqa: SIM110, kernels know no generators
        if entries.text[kept + i] != text[start + i]:
            return False
    return True
