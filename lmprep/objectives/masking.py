"""What becomes of chosen tokens: the mask token, a random token, or nothing.

An objective marks the tokens it has chosen, unit by unit (a token, a word, a span); here each unit
draws one treatment, and the columns of every masked objective are made. BERT (arXiv:1810.04805),
section 3.1: 80 % mask, 10 % random, 10 % kept. Each random token is drawn by itself, uniformly from
the vocabulary without special tokens, where BERT's code draws from all of it.

Counters of a row's draws, so that no two share a (key, counter): an objective chooses by multiples
of 3; the unit that begins at token t is treated by 3t + 1; token t is replaced by 3t + 2.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences
from lmprep.jit import bare_kernel, kernel
from lmprep.keyed_random import Keys, integer_below
from lmprep.objective_settings import MlmSettings
from lmprep.ragged import Ragged, offsets_of
from lmprep.vocabulary import Vocabulary

DRAWS = 3
"""Kinds of draws: to choose, to treat, to replace."""

UNCHOSEN, FIRST, NEXT, HIDDEN = 0, 1, 2, 3
"""Marks: not chosen; the first token of a unit; a further token of the same unit; always the mask
token, without a draw."""

Marks = NDArray[np.uint8]
"""uint8 [T], one mark for each token."""


def mask_chosen(
    sequences: Sequences, marks: Marks, settings: MlmSettings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Treat the chosen tokens; row i draws only from keys[i] (uint64 [N]).

    Returns:
        `input_ids`: int32, corrupted; `masked_positions`: int32, rising; `masked_labels`: int32,
        the original ids. All ragged, N rows.

    Raises:
        ValueError: the vocabulary has no mask token.
    """
    if vocabulary.mask is None:
        raise ValueError(
            f"family {vocabulary.family} has no mask token; families bert and roberta have one"
        )
    offsets = offsets_of(_chosen_counts(marks, sequences.offsets))
    positions, labels = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int32)
    ids = sequences.ids.copy()
    _treat(
        ids,
        sequences.offsets,
        keys,
        marks,
        _thresholds(settings),
        vocabulary.mask,
        vocabulary.replacements,
        positions,
        labels,
    )
    return {
        "input_ids": Ragged(ids, sequences.offsets),
        "masked_positions": Ragged(positions, offsets),
        "masked_labels": Ragged(labels, offsets),
    }


def _thresholds(settings: MlmSettings) -> tuple[int, int, int]:
    """80/10/10 as integers: below the first, the mask; below the second, random; of the third."""
    whole = math.lcm(settings.mask_share.denominator, settings.random_share.denominator)
    mask = int(settings.mask_share * whole)
    return mask, mask + int(settings.random_share * whole), whole


@kernel
def _chosen_counts(marks: Marks, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many tokens of each row are chosen, int64 [N]."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    for row in range(len(counts)):
        for i in range(offsets[row], offsets[row + 1]):
            counts[row] += marks[i] != UNCHOSEN
    return counts


@bare_kernel
def _treat(
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    keys: Keys,
    marks: Marks,
    thresholds: tuple[int, int, int],
    mask: int,
    replacements: NDArray[np.int32],
    positions: NDArray[np.int32],
    labels: NDArray[np.int32],
) -> None:
    """Replace the chosen ids in place; write their positions and labels, row after row."""
    mask_below, random_below, whole = thresholds
    out = 0
    treatment = 0
    for row in range(len(keys)):
        for i in range(offsets[row], offsets[row + 1]):
            if marks[i] == UNCHOSEN:
                continue
            t = i - offsets[row]
            positions[out], labels[out] = t, ids[i]
            out += 1
            if marks[i] == FIRST:
                treatment = integer_below(whole, keys[row], DRAWS * t + 1)
            if marks[i] == HIDDEN or treatment < mask_below:
                ids[i] = mask
            elif treatment < random_below:
                ids[i] = replacements[integer_below(len(replacements), keys[row], DRAWS * t + 2)]
