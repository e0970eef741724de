"""Pairs of ids that stand near each other, counted within a partition.

Counts are whole numbers of a small unit, so that no order of adding up changes them: 1/lcm(1, ...,
window) for windows up to 22, where every 1/d is exact; 2**-30 for wider ones, where it is rounded
by at most half a unit (a relative 5e-8 at d = 100, less than what float32 takes away at the end).

One word after another: the places where it occurs are known beforehand, so that the counts of its
contexts fit in the fast memory of a core.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Sequences
from lmprep.jit import bare_kernel, inline_kernel, kernel

Counts = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]
"""Words, contexts and counts in units, each [P], sorted by word and context, none of them twice."""

ROWS = 1 << 20
"""Rows in a block of counts, about."""

_FINEST = 1 << 30
_ABREAST = 64  # occurrences whose surroundings are fetched from memory at the same time
_ONE = np.uint64(1)

# Multiplying a power of two by a de Bruijn sequence brings its exponent to the upper six bits.
_DE_BRUIJN = 0x03F79D71B4CB0A89
_EXPONENTS = np.argsort([(_DE_BRUIJN << i) % 2**64 >> 58 for i in range(64)])


def distance_units(window: int) -> NDArray[np.int64]:
    """1, 1/1, 1/2, ..., 1/window as whole numbers of units: int64 [window + 1]."""
    one = min(_FINEST, math.lcm(*range(1, window + 1)))
    return np.array([one, *((2 * one + d) // (2 * d) for d in range(1, window + 1))], np.int64)


def count_pairs(
    sequences: Sequences, window: int, vocabulary_size: int, rows: int = ROWS
) -> Iterator[Counts]:
    """Count the pairs of all sequences, in blocks of about `rows` rows that go on word by word.

    At least one block comes. Beside a block, memory holds a copy of the ids, a place for each, and
    one count for each id of the vocabulary.

    Raises:
        ValueError: a count is beyond 2**63 units.
    """
    longest = int(np.diff(sequences.offsets).max(initial=0))
    reach = min(window, max(1, longest - 1))
    units = distance_units(window)[: reach + 1]
    starts = np.zeros(vocabulary_size + 1, np.int64)
    np.cumsum(np.bincount(sequences.ids, minlength=vocabulary_size), out=starts[1:])
    padded = _padded(sequences, reach, vocabulary_size)
    places = np.empty(starts[-1], np.int32 if len(padded) < 1 << 31 else np.int64)
    _find_places(padded, starts[:-1].copy(), places)
    table = _empty_table(vocabulary_size)
    word = 0
    while word < vocabulary_size:
        block = empty_counts(max(rows, vocabulary_size))
        word, found = _count(padded, starts, places, units, word, table, _EXPONENTS, block)
        yield _checked(block, found)


def between(counts: Counts, start: int, stop: int) -> Counts:
    """Rows `start` to `stop` - 1 of the counts, as views."""
    words, contexts, units = counts
    return words[start:stop], contexts[start:stop], units[start:stop]


def empty_counts(rows: int) -> Counts:
    """Room for this many rows."""
    return np.empty(rows, np.int32), np.empty(rows, np.int32), np.empty(rows, np.int64)


def _checked(block: Counts, found: int) -> Counts:
    """The rows found, none of which has run over."""
    counts = between(block, 0, found)
    if counts[2].min(initial=1) < 0:
        raise too_large()
    return counts


def too_large() -> ValueError:
    """What to raise for a count that has run over."""
    return ValueError("two ids stand near each other too often: their count is beyond 2**63 units")


def _padded(sequences: Sequences, reach: int, padding: int) -> NDArray[Any]:
    """The ids with `reach` times `padding` around each row, so that no context leaves it."""
    length = len(sequences.ids) + (len(sequences) + 1) * reach
    padded = np.full(length, padding, np.uint16 if padding < 1 << 16 else np.uint32)
    _spread(sequences.ids, sequences.offsets, reach, padded)
    return padded


@bare_kernel
def _spread(
    ids: NDArray[np.int32], offsets: NDArray[np.int64], reach: int, padded: NDArray[Any]
) -> None:
    for row in range(len(offsets) - 1):
        shift = (row + 1) * reach
        for i in range(offsets[row], offsets[row + 1]):
            padded[i + shift] = ids[i]


@bare_kernel
def _find_places(
    padded: NDArray[Any], starts: NDArray[np.int64], places: NDArray[np.integer[Any]]
) -> None:
    """Where each word occurs: word w from places[starts[w]] on. Moves the starts to the ends."""
    for place in range(len(padded)):
        word = padded[place]
        if word < len(starts):
            places[starts[word]] = place
            starts[word] += 1


_Table = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64], NDArray[np.uint64]]


def _empty_table(vocabulary_size: int) -> _Table:
    """The contexts of one word: counts [V + 1], contexts met, a bit for each, a bit for 64 of them.

    Entry V of the counts takes what padding adds. It is never 0, so that padding is never met for
    the first time.
    """
    counts = np.zeros(vocabulary_size + 1, np.int64)
    counts[-1] = 1
    fine = np.zeros((vocabulary_size >> 6) + 1, np.uint64)
    coarse = np.zeros((len(fine) >> 6) + 1, np.uint64)
    return counts, np.empty(vocabulary_size + 1, np.int64), fine, coarse


@kernel
def _count(
    padded: NDArray[Any],
    starts: NDArray[np.int64],
    places: NDArray[np.integer[Any]],
    units: NDArray[np.int64],
    word: int,
    table: _Table,
    exponents: NDArray[np.int64],
    block: Counts,
) -> tuple[int, int]:
    """Count the contexts of `word` and those after it until the block might not hold the next.

    Returns:
        The word to go on with, and how many rows of the block are filled.
    """
    reach, found = len(units) - 1, 0
    around = np.empty(_ABREAST * (2 * reach + 1), padded.dtype)
    while word < len(starts) - 1:
        occurrences = places[starts[word] : starts[word + 1]]
        if found + min(len(starts) - 1, 2 * reach * len(occurrences)) > len(block[0]):
            break
        met = 0
        for first in range(0, len(occurrences), _ABREAST):
            some = occurrences[first : first + _ABREAST]
            _fetch(padded, some, reach, around)
            met = _add_around(around, len(some), units, table, met)
        found = _write_sorted(word, met, table, exponents, block, found)
        word += 1
    return word, found


@inline_kernel
def _fetch(
    padded: NDArray[Any], places: NDArray[np.integer[Any]], reach: int, around: NDArray[Any]
) -> None:
    """Copy what surrounds each place: a loop this small has many cache misses under way at once."""
    width = 2 * reach + 1
    for k in range(len(places)):
        for j in range(width):
            around[k * width + j] = padded[places[k] - reach + j]


@inline_kernel
def _add_around(
    around: NDArray[Any], occurrences: int, units: NDArray[np.int64], table: _Table, met: int
) -> int:
    """Add the neighbours of some occurrences to the table; return how many contexts it has met."""
    counts, contexts, _, _ = table
    reach = len(units) - 1
    for k in range(occurrences):
        middle = k * (2 * reach + 1) + reach
        for d in range(1, reach + 1):
            for place in (middle - d, middle + d):
                context = around[np.uint64(place)]
                contexts[met] = context  # stays if this is the first time
                met += counts[context] == 0
                counts[context] += units[d]
    return met


@inline_kernel
def _write_sorted(
    word: int, met: int, table: _Table, exponents: NDArray[np.int64], block: Counts, row: int
) -> int:
    """Write the contexts met and their counts in order of id, and clear the table.

    A bit for each context met puts them in order without sorting.
    """
    counts, contexts, fine, coarse = table
    for k in range(met):
        group = contexts[k] >> 6
        fine[group] |= _ONE << np.uint64(contexts[k] & 63)
        coarse[group >> 6] |= _ONE << np.uint64(group & 63)
    for upper in range(len(coarse)):
        while coarse[upper]:
            group = (upper << 6) + _lowest(coarse[upper], exponents)
            coarse[upper] &= coarse[upper] - _ONE
            while fine[group]:
                context = (group << 6) + _lowest(fine[group], exponents)
                fine[group] &= fine[group] - _ONE
                block[0][row], block[1][row], block[2][row] = word, context, counts[context]
                counts[context] = 0
                row += 1
    counts[-1] = 1
    return row


@inline_kernel
def _lowest(bits: np.uint64, exponents: NDArray[np.int64]) -> int:
    """Which is the lowest bit that is set; at least one is."""
    lowest = bits & (~bits + _ONE)
    return exponents[np.uint64(lowest * np.uint64(_DE_BRUIJN)) >> np.uint64(58)]  # type: ignore[no-any-return]
