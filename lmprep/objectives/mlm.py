"""Masked language modelling: choose tokens, hide most of them, predict what they were.

BERT (arXiv:1810.04805), section 3.1. Of a sequence of n tokens (special tokens counted),
k = min(maskable, max(1, round_half_even(mask_rate * n))) are chosen, every set of k maskable
positions equally likely: 19 of 128, 77 of 512. Each chosen token becomes the mask token (80 %),
a random token (10 %) or stays (10 %), drawn per token. Random tokens come from the vocabulary
without special tokens, where BERT's code draws from all of it.

    the cat sat on the mat    ->  the cat [MASK] on the mat    positions [2], labels [sat]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences, ragged
from lmprep.jit import kernel
from lmprep.keyed_random import Keys, integer_below
from lmprep.objective_settings import MlmSettings
from lmprep.ragged import Ragged, offsets_of
from lmprep.vocabulary import Vocabulary

# One counter for each kind of draw of a row, so that no two draws share a (key, counter):
# token t is chosen by counter 3t, treated by 3t + 1, replaced by 3t + 2.
_DRAWS = 3


def corrupt(
    sequences: Sequences, settings: MlmSettings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Mask the sequences; row i draws only from keys[i] (uint64 [N]).

    Returns:
        `input_ids`: int32, corrupted; `masked_positions`: int32, rising; `masked_labels`: int32,
        the original ids. All ragged, N rows.
    """
    if vocabulary.mask is None:
        raise ValueError(f"family {vocabulary.family} has no mask token")
    counts = prediction_counts(sequences, settings)
    offsets = offsets_of(counts)
    positions = np.empty(offsets[-1], np.int32)
    _choose(sequences.maskable, sequences.offsets, keys, offsets, positions)
    labels = np.empty(offsets[-1], np.int32)
    ids = sequences.ids.copy()
    mask, random, whole = _thresholds(settings)
    _treat(
        ids,
        sequences.offsets,
        keys,
        offsets,
        positions,
        labels,
        (mask, random, whole),
        vocabulary.mask,
        vocabulary.replacements,
    )
    return {
        "input_ids": Ragged(ids, sequences.offsets),
        "masked_positions": Ragged(positions, offsets),
        "masked_labels": Ragged(labels, offsets),
    }


def restore(columns: Columns, settings: MlmSettings, vocabulary: Vocabulary) -> Sequences:
    """Undo `corrupt`: the sequences with their original ids and their provenance.

    Word starts are not stored for this objective, which does not use them: they come back as True.
    """
    corrupted = ragged(columns, "input_ids")
    positions, labels = ragged(columns, "masked_positions"), ragged(columns, "masked_labels")
    ids = corrupted.values.astype(np.int32)
    _put_back(ids, corrupted.offsets, positions.values, labels.values, positions.offsets)
    own = {"input_ids", "masked_positions", "masked_labels"}
    return Sequences(
        ids=ids,
        word_start=np.ones(len(ids), np.bool_),
        maskable=vocabulary.maskable[ids],
        offsets=corrupted.offsets,
        **{name: column for name, column in columns.items() if name not in own},  # type: ignore[arg-type]
    )


def prediction_counts(sequences: Sequences, settings: MlmSettings) -> NDArray[np.int64]:
    """k of each sequence, int64 [N]."""
    lengths = np.diff(sequences.offsets)
    running = np.concatenate([[0], np.cumsum(sequences.maskable, dtype=np.int64)])
    maskable = running[sequences.offsets[1:]] - running[sequences.offsets[:-1]]
    wanted = np.maximum(1, rounded_share(lengths, settings))
    counts: NDArray[np.int64] = np.minimum(maskable, wanted)
    return counts


def rounded_share(lengths: NDArray[np.int64], settings: MlmSettings) -> NDArray[np.int64]:
    """mask_rate * length rounded half to even, in integers: int64 [N]."""
    rate = settings.mask_rate
    quotient, rest = np.divmod(lengths * rate.numerator, rate.denominator)
    twice = 2 * rest
    up = (twice > rate.denominator) | ((twice == rate.denominator) & (quotient % 2 == 1))
    rounded: NDArray[np.int64] = quotient + up
    return rounded


def _thresholds(settings: MlmSettings) -> tuple[int, int, int]:
    """80/10/10 as integers: below the first, the mask; below the second, random; of the third."""
    whole = np.lcm(settings.mask_share.denominator, settings.random_share.denominator).item()
    mask = int(settings.mask_share * whole)
    return mask, mask + int(settings.random_share * whole), whole


@kernel
def _choose(
    maskable: NDArray[np.bool_],
    offsets: NDArray[np.int64],
    keys: Keys,
    chosen_offsets: NDArray[np.int64],
    positions: NDArray[np.int32],
) -> None:
    """Selection sampling (Knuth's algorithm S): each k-subset equally likely, already sorted."""
    for row in range(len(keys)):
        start, stop = offsets[row], offsets[row + 1]
        out, end = chosen_offsets[row], chosen_offsets[row + 1]
        left = 0
        for i in range(start, stop):
            left += maskable[i]
        for i in range(start, stop):
            if out == end:
                break
            if not maskable[i]:
                continue
            if integer_below(left, keys[row], _DRAWS * (i - start)) < end - out:
                positions[out] = i - start
                out += 1
            left -= 1


@kernel
def _treat(
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    keys: Keys,
    chosen_offsets: NDArray[np.int64],
    positions: NDArray[np.int32],
    labels: NDArray[np.int32],
    thresholds: tuple[int, int, int],
    mask: int,
    replacements: NDArray[np.int32],
) -> None:
    """Write the labels and replace the chosen ids in place."""
    mask_below, random_below, whole = thresholds
    for row in range(len(keys)):
        for j in range(chosen_offsets[row], chosen_offsets[row + 1]):
            i = offsets[row] + positions[j]
            labels[j] = ids[i]
            treatment = integer_below(whole, keys[row], _DRAWS * positions[j] + 1)
            if treatment < mask_below:
                ids[i] = mask
            elif treatment < random_below:
                ids[i] = replacements[
                    integer_below(len(replacements), keys[row], _DRAWS * positions[j] + 2)
                ]


@kernel
def _put_back(
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    positions: NDArray[np.int32],
    labels: NDArray[np.int32],
    chosen_offsets: NDArray[np.int64],
) -> None:
    for row in range(len(offsets) - 1):
        for j in range(chosen_offsets[row], chosen_offsets[row + 1]):
            ids[offsets[row] + positions[j]] = labels[j]
