"""The hot loop: cut sentences into chunks and look each of them up among those seen before.

A `ChunkTable` gives every distinct chunk a number, the same for as long as the table is not
cleared. It is bounded: chunks that are too long to be worth it, and those that find it full, are
*loose*, named by their place in the text alone. `counts` counts chunks with it; `encoder` keeps
their token ids beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import inline_kernel, kernel
from lmprep.tokenization.rules import BYTE_LEVEL, METASPACE, SENTENCE, WHITESPACE

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]

LONGEST_KEPT = 64
"""Bytes of a chunk that is worth keeping; longer ones hardly come again."""
DEFAULT_ENTRIES = 1 << 20

_FREE = -1
_SPACE, _TAB, _LINE_FEED, _RETURN = 0x20, 0x09, 0x0A, 0x0D
_HASH_START = np.uint64(0xCBF29CE484222325)
_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Entries(NamedTuple):
    """An open-addressing table of chunks. E entries at most, S slots, a power of two, S >= 2 E."""

    slots: NDArray[np.int32]  # [S], number of the entry in this slot, or _FREE
    hashes: NDArray[np.uint64]  # [E]
    offsets: Offsets  # [E + 1], into `text`
    text: Bytes  # [E * LONGEST_KEPT], the chunks' bytes
    used: NDArray[np.int64]  # [1], number of entries


@dataclass(frozen=True, eq=False)
class Chunks:
    """The chunks of a block of sentences.

    Args:
        numbers: int32 [C]: entry of the table, or -1 - i for loose chunk i.
        sentence_offsets: int64 [S + 1], into `numbers`.
        loose: int64 [L, 2], start and stop of each loose chunk in the text.
    """

    numbers: NDArray[np.int32]
    sentence_offsets: Offsets
    loose: NDArray[np.int64]


class ChunkTable:
    """Numbers for distinct chunks, 0 upwards in order of appearance.

    Args:
        rule: how sentences are cut, one of `rules`.
        max_entries: chunks it holds at most; memory is about 100 bytes for each.
    """

    def __init__(self, rule: int, max_entries: int = DEFAULT_ENTRIES) -> None:
        if max_entries < 1:
            raise ValueError(f"a table of {max_entries} entries holds nothing")
        self.rule = rule
        self.max_entries = max_entries
        self._entries = Entries(
            slots=np.full(1 << (2 * max_entries - 1).bit_length(), _FREE, np.int32),
            hashes=np.empty(max_entries, np.uint64),
            offsets=np.zeros(max_entries + 1, np.int64),
            text=np.empty(max_entries * LONGEST_KEPT, np.uint8),
            used=np.zeros(1, np.int64),
        )

    def __len__(self) -> int:
        return int(self._entries.used[0])

    @property
    def is_full(self) -> bool:
        """Whether new chunks can only be loose ones."""
        return len(self) == self.max_entries

    def clear(self) -> None:
        """Forget all chunks."""
        self._entries.slots.fill(_FREE)
        self._entries.used[0] = 0

    def texts(self, start: int) -> list[str]:
        """The chunks from number `start` on."""
        bounds = self._entries.offsets[start : len(self) + 1].tolist()
        data = self._entries.text[bounds[0] : bounds[-1]].tobytes()
        first = bounds[0]
        return [data[a - first : b - first].decode() for a, b in pairwise(bounds)]

    def scan(self, text: Bytes, sentence_offsets: Offsets) -> Chunks:
        """Cut sentences into chunks; chunks not seen before get new numbers.

        Args:
            text: UTF-8.
            sentence_offsets: int64 [S + 1], into `text`.
        """
        space = int(sentence_offsets[-1] - sentence_offsets[0]) + len(sentence_offsets)
        numbers = np.empty(space, np.int32)
        loose = np.empty((space, 2), np.int64)
        chunk_offsets = np.zeros(len(sentence_offsets), np.int64)
        count, loose_count = _scan(
            text, sentence_offsets, self.rule, self._entries, numbers, chunk_offsets, loose
        )
        return Chunks(numbers[:count], chunk_offsets, loose[:loose_count])


@kernel
def _scan(
    text: Bytes,
    sentence_offsets: Offsets,
    rule: int,
    entries: Entries,
    numbers: NDArray[np.int32],
    chunk_offsets: Offsets,
    loose: NDArray[np.int64],
) -> tuple[int, int]:
    """Fill the arrays of `Chunks`; returns how many chunks there are, and how many loose."""
    count = 0
    loose_count = 0
    for s in range(len(sentence_offsets) - 1):
        stop = sentence_offsets[s + 1]
        start = _chunk_start(text, sentence_offsets[s], stop, rule)
        while start < stop:
            end = _chunk_end(text, start, stop, rule)
            number = np.int64(_FREE)
            if end - start <= LONGEST_KEPT and rule != SENTENCE:
                number = _lookup(text, start, end, entries)
            if number == _FREE:
                loose[loose_count, 0] = start
                loose[loose_count, 1] = end
                number = np.int64(-1 - loose_count)
                loose_count += 1
            numbers[count] = number
            count += 1
            start = _chunk_start(text, end, stop, rule)
        chunk_offsets[s + 1] = count
    return count, loose_count


@inline_kernel
def _is_separator(byte: int) -> bool:
    return byte in (_SPACE, _LINE_FEED, _TAB, _RETURN)


@kernel
def _chunk_start(text: Bytes, start: int, stop: int, rule: int) -> int:
    """Where the chunk at or after `start` begins: separators are skipped where the rule says so."""
    if rule == WHITESPACE:
        while start < stop and _is_separator(text[start]):
            start += 1
    return start


@kernel
def _chunk_end(text: Bytes, start: int, stop: int, rule: int) -> int:
    """Where the chunk that begins at `start` ends; see `rules` for why these places are safe."""
    end = start + 1
    if rule == WHITESPACE:
        while end < stop and not _is_separator(text[end]):
            end += 1
    elif rule == METASPACE:
        while end < stop and text[end] != _SPACE:
            end += 1
    elif rule == BYTE_LEVEL:
        while end < stop and (text[end] != _SPACE or _whitespace_before(text, end, start)):
            end += 1
    else:
        end = stop
    return end


@kernel
def _whitespace_before(text: Bytes, end: int, start: int) -> bool:
    """Whether the character that ends at `end`, in a chunk from `start`, is Unicode whitespace.

    U+0009-000D, 0020, 0085, 00A0, 1680, 2000-200A, 2028, 2029, 202F, 205F, 3000.
    """
    last = text[end - 1]
    if last < 0x80:
        return bool(last == _SPACE or 0x09 <= last <= 0x0D)
    if end - start < 2:
        return False
    middle = text[end - 2]
    if middle == 0xC2:
        return last in (0x85, 0xA0)
    if end - start < 3:
        return False
    lead = (np.int64(text[end - 3]) << 8) | middle
    if lead == 0xE280:
        return last <= 0x8A or last in (0xA8, 0xA9, 0xAF)
    if lead == 0xE281:
        return bool(last == 0x9F)
    return lead in (0xE19A, 0xE380) and bool(last == 0x80)


@kernel
def _lookup(text: Bytes, start: int, end: int, entries: Entries) -> np.int64:
    """The number of chunk text[start:end], a new one if need be; _FREE when the table is full."""
    code = _HASH_START
    for i in range(start, end):
        code = (code ^ np.uint64(text[i])) * _HASH_FACTOR
    code ^= code >> np.uint64(32)
    mask = len(entries.slots) - 1
    slot = np.int64(code) & mask
    while entries.slots[slot] != _FREE:
        number = entries.slots[slot]
        if entries.hashes[number] == code and _is_entry(text, start, end, entries, number):
            return np.int64(number)
        slot = (slot + 1) & mask
    number = entries.used[0]
    if number == len(entries.hashes):
        return np.int64(_FREE)
    _keep(text, start, end, entries, number)
    entries.hashes[number] = code
    entries.slots[slot] = number
    return np.int64(number)


@kernel
def _is_entry(text: Bytes, start: int, end: int, entries: Entries, number: int) -> bool:
    kept = entries.offsets[number]
    if entries.offsets[number + 1] - kept != end - start:
        return False
    for i in range(end - start):  # noqa: SIM110, kernels know no generators
        if entries.text[kept + i] != text[start + i]:
            return False
    return True


@kernel
def _keep(text: Bytes, start: int, end: int, entries: Entries, number: int) -> None:
    kept = entries.offsets[number]
    for i in range(end - start):
        entries.text[kept + i] = text[start + i]
    entries.offsets[number + 1] = kept + end - start
    entries.used[0] = number + 1
