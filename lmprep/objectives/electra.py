"""Replaced-token detection: which tokens did a small generator put in?

ELECTRA (arXiv:2003.10555), section 2. Rows are stored whole; while training, each is masked for the
generator, which draws a token for every masked place, and the discriminator judges every token of
the result. A drawn token that equals the original counts as original.

    the chef cooked the meal    masked   the [MASK] cooked the [MASK]
                                drawn    the chef cooked the bill      labels 0 0 0 0 1

What the generator draws by is a number from 0 to below 1 for each masked place: the upper 24 bits
of the draw with counter 3t + 2 for token t, which masking leaves free, since nothing is replaced at
random.

Positions are distinct, where ELECTRA's code draws them with replacement; `mask_rate` is 0.15, and
0.25 for ELECTRA's large model. As in that code 85 % become the mask token and 15 % stay.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences
from lmprep.jit import bare_kernel
from lmprep.keyed_random import Keys, draw
from lmprep.objective_settings import MlmSettings
from lmprep.objectives import mlm
from lmprep.objectives.masking import DRAWS
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary

MASK_RATE = Fraction(15, 100)
_MASK_SHARE = Fraction(85, 100)
_UNUSED_BITS = 40  # 24 are left, which float32 holds exactly


def mask_for_generator(
    sequences: Sequences, vocabulary: Vocabulary, keys: Keys, mask_rate: Fraction = MASK_RATE
) -> Columns:
    """The generator's inputs; row i draws only from keys[i] (uint64 [N]).

    Returns:
        `input_ids`, `masked_positions` and `masked_labels`, with the counts of `mlm`.
    """
    settings = MlmSettings(mask_rate=mask_rate, mask_share=_MASK_SHARE, random_share=Fraction(0))
    return mlm.corrupt(sequences, settings, vocabulary, keys)


def sampling_numbers(masked_positions: Ragged, keys: Keys) -> Ragged:
    """What the generator draws the tokens of masked places by; row i draws only from keys[i].

    Returns:
        float32 from 0 to below 1, multiples of 2**-24, one for each position.
    """
    numbers = np.empty(len(masked_positions.values), np.float32)
    _draw_numbers(masked_positions.values, masked_positions.offsets, keys, numbers)
    return Ragged(numbers, masked_positions.offsets)


@bare_kernel
def _draw_numbers(
    positions: NDArray[np.int32],
    offsets: NDArray[np.int64],
    keys: Keys,
    numbers: NDArray[np.float32],
) -> None:
    for row in range(len(keys)):
        for i in range(offsets[row], offsets[row + 1]):
            bits = draw(keys[row], DRAWS * positions[i] + 2) >> np.uint64(_UNUSED_BITS)
            numbers[i] = np.float32(bits) * np.float32(2.0 ** (_UNUSED_BITS - 64))


def replace_sampled(
    original: Ragged, masked_positions: Ragged, sampled: NDArray[np.integer]
) -> tuple[Ragged, Ragged]:
    """The discriminator's inputs and labels.

    Args:
        original: ids of N rows, before masking.
        masked_positions: where the generator drew a token, N rows.
        sampled: what it drew, int [K], in the order of the positions.

    Returns:
        The ids with the drawn tokens, and int8 labels of every token: 1 where it is not the
        original one.
    """
    rows = np.repeat(original.offsets[:-1], masked_positions.lengths)
    places = rows + masked_positions.values
    ids = original.values.copy()
    ids[places] = sampled
    labels = (ids != original.values).astype(np.int8)
    return Ragged(ids, original.offsets), Ragged(labels, original.offsets)
