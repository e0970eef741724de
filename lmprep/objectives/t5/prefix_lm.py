"""Prefix language modelling: the first tokens are seen, the rest is predicted.

T5 (arXiv:1910.10683), section 3.3.1. In a row of n tokens the prefix has s, uniform from 1 to
n - 1. A density below 1/2 leaves out the shortest prefixes, as in T5's code:
s >= max(1, round((1 - 2 * density) * (n - 1))); one above 1/2, which that code refuses, the
longest: s <= max(1, round(2 * (1 - density) * (n - 1))). So a share `density` of the row is
predicted on average. A row of one token is predicted from nothing.

    The old boat left the small harbour before dawn today .
    inputs  The old boat left        targets  the small harbour before dawn today .
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences, ragged
from lmprep.jit import bare_kernel, kernel
from lmprep.keyed_random import Keys, integer_below
from lmprep.objective_settings import T5Settings
from lmprep.objectives.counting import rounded_share
from lmprep.objectives.restoring import sequences_of
from lmprep.objectives.row_ends import end_token
from lmprep.objectives.t5.separation import separate
from lmprep.ragged import Ragged, offsets_of
from lmprep.vocabulary import Vocabulary


def corrupt(
    sequences: Sequences, settings: T5Settings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Inputs with the prefix, labels with the rest; int32, ragged, N rows."""
    text = Ragged(sequences.ids, sequences.offsets)
    prefixes = prefix_lengths(text.lengths, settings.density, keys)
    inputs, labels, _ = separate(text, suffix_mask(text.offsets, prefixes), end_token(vocabulary))
    return {"input_ids": inputs, "labels": labels}


def restore(columns: Columns, settings: T5Settings, vocabulary: Vocabulary) -> Sequences:
    """Undo `corrupt`: the labels behind the inputs."""
    inputs, labels = ragged(columns, "input_ids"), ragged(columns, "labels")
    offsets = offsets_of(inputs.lengths + labels.lengths - 2)
    ids = np.empty(offsets[-1], np.int32)
    _join(inputs.values, inputs.offsets, labels.values, labels.offsets, ids)
    return sequences_of(Ragged(ids, offsets), columns, vocabulary)


def shortest_and_longest(
    lengths: NDArray[np.int64], density: Fraction
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The least and the most tokens in the prefix of rows of these lengths, int64 [N] each."""
    most = np.maximum(lengths - 1, 0)
    least = np.minimum(most, 1)
    shortest = np.maximum(least, rounded_share(most, max(Fraction(0), 1 - 2 * density)))
    longest = np.maximum(least, rounded_share(most, min(Fraction(1), 2 - 2 * density)))
    return shortest, longest


def prefix_lengths(lengths: NDArray[np.int64], density: Fraction, keys: Keys) -> NDArray[np.int64]:
    """Tokens in the prefix of each row, int64 [N]; drawn by counter 0."""
    shortest, longest = shortest_and_longest(lengths, density)
    return _draw_between(shortest, longest, keys)


def suffix_mask(offsets: NDArray[np.int64], prefixes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool [T], True behind the prefix of each row."""
    mask = np.ones(offsets[-1], np.bool_)
    _clear_prefixes(offsets, prefixes, mask)
    return mask


def sizes(tokens: int, settings: T5Settings) -> tuple[int, int]:
    """Tokens in inputs and labels of a row of so many raw tokens at most, end tokens included."""
    shortest, longest = shortest_and_longest(np.array([tokens]), settings.density)
    return int(longest[0]) + 1, tokens - int(shortest[0]) + 1


@kernel
def _draw_between(
    shortest: NDArray[np.int64], longest: NDArray[np.int64], keys: Keys
) -> NDArray[np.int64]:
    out = np.empty(len(keys), np.int64)
    for row in range(len(keys)):
        ways = longest[row] - shortest[row] + 1
        out[row] = shortest[row] + integer_below(ways, keys[row], 0)
    return out


@kernel
def _clear_prefixes(
    offsets: NDArray[np.int64], prefixes: NDArray[np.int64], mask: NDArray[np.bool_]
) -> None:
    for row in range(len(prefixes)):
        mask[offsets[row] : offsets[row] + prefixes[row]] = False


@bare_kernel
def _join(
    first: NDArray[np.int32],
    first_offsets: NDArray[np.int64],
    second: NDArray[np.int32],
    second_offsets: NDArray[np.int64],
    out: NDArray[np.int32],
) -> None:
    """Each row of the first and then of the second, both without their end token."""
    to = 0
    for row in range(len(first_offsets) - 1):
        for i in range(first_offsets[row], first_offsets[row + 1] - 1):
            out[to] = first[i]
            to += 1
        for i in range(second_offsets[row], second_offsets[row + 1] - 1):
            out[to] = second[i]
            to += 1
