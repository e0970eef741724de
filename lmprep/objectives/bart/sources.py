"""A row under noise, as where each of its tokens comes from.

Each transformation takes and gives *sources*: int32, ragged, N rows; a source is the position of
a raw token in its row, or stands for a token that is not of the row. Tokens are written last.

Sub-keys of a row's key, one for each kind of draw, so that no two draws share a (key, counter):
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Sequences
from lmprep.jit import bare_kernel
from lmprep.keyed_random import Keys, draw, integer_below
from lmprep.ragged import Ragged, offsets_of
from lmprep.vocabulary import Vocabulary

SENTENCES, ORDER, SPANS, PLACES, ROTATION, ADDED = 0, 1, 2, 3, 4, 5
MASKED, DELETED, REPLACED, INSERTED, BEGINNING, RANDOM = 6, 7, 8, 9, 10, 11

MASK_TOKEN, RANDOM_TOKEN = -1, -2
"""Sources that are no position: the mask token, and a token to be drawn from the vocabulary."""


def in_order(offsets: NDArray[np.int64]) -> Ragged:
    """The rows as they are: sources 0, 1, 2 ... in each."""
    places = np.empty(offsets[-1], np.int32)
    _count_up(offsets, places)
    return Ragged(places, offsets)


def write_tokens(
    sources: Ragged, sequences: Sequences, vocabulary: Vocabulary, keys: Keys
) -> Ragged:
    """The tokens, int32, between `<s>` and `</s>`. Place p draws a random token by counter p."""
    offsets = sources.offsets + 2 * np.arange(len(sources) + 1)
    out = np.empty(offsets[-1], np.int32)
    assert vocabulary.cls is not None
    assert vocabulary.sep is not None
    assert vocabulary.mask is not None
    _write(
        sources.values,
        sources.offsets,
        sequences.ids,
        sequences.offsets,
        (vocabulary.cls, vocabulary.sep, vocabulary.mask),
        vocabulary.replacements,
        keys,
        out,
    )
    return Ragged(out, offsets)


def lost_positions(sources: Ragged, sequences: Sequences) -> Ragged:
    """Positions of the raw tokens that do not stand in the row any more: int32, ragged, rising."""
    stands = np.zeros(len(sequences.ids), np.bool_)
    counts = np.diff(sequences.offsets)
    _mark(sources.values, sources.offsets, sequences.offsets, stands, counts)
    positions = Ragged(np.empty(counts.sum(), np.int32), offsets_of(counts))
    _list_lost(stands, sequences.offsets, positions.values)
    return positions


@bare_kernel
def _count_up(offsets: NDArray[np.int64], out: NDArray[np.int32]) -> None:
    for row in range(len(offsets) - 1):
        for i in range(offsets[row], offsets[row + 1]):
            out[i] = i - offsets[row]


@bare_kernel
def _write(
    sources: NDArray[np.int32],
    offsets: NDArray[np.int64],
    ids: NDArray[np.int32],
    id_offsets: NDArray[np.int64],
    specials: tuple[int, int, int],
    replacements: NDArray[np.int32],
    keys: Keys,
    out: NDArray[np.int32],
) -> None:
    begin, end, mask = specials
    to = 0
    for row in range(len(keys)):
        key = draw(keys[row], RANDOM)
        out[to] = begin
        to += 1
        for i in range(offsets[row], offsets[row + 1]):
            if sources[i] >= 0:
                out[to] = ids[id_offsets[row] + sources[i]]
            elif sources[i] == MASK_TOKEN:
                out[to] = mask
            else:
                out[to] = replacements[integer_below(len(replacements), key, i - offsets[row])]
            to += 1
        out[to] = end
        to += 1


@bare_kernel
def _mark(
    sources: NDArray[np.int32],
    offsets: NDArray[np.int64],
    id_offsets: NDArray[np.int64],
    stands: NDArray[np.bool_],
    lost: NDArray[np.int64],
) -> None:
    """Mark the raw tokens that still stand, and take them off the numbers of lost ones."""
    for row in range(len(offsets) - 1):
        for i in range(offsets[row], offsets[row + 1]):
            if sources[i] >= 0:
                stands[id_offsets[row] + sources[i]] = True
                lost[row] -= 1


@bare_kernel
def _list_lost(
    stands: NDArray[np.bool_], offsets: NDArray[np.int64], positions: NDArray[np.int32]
) -> None:
    found = 0
    for row in range(len(offsets) - 1):
        for i in range(offsets[row], offsets[row + 1]):
            if not stands[i]:
                positions[found] = i - offsets[row]
                found += 1
