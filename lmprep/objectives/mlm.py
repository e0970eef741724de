"""Masked language modelling: choose tokens, hide most of them, predict what they were.

BERT (arXiv:1810.04805), section 3.1. Of a sequence of n tokens (special tokens counted),
k = min(maskable, max(1, round_half_even(mask_rate * n))) are chosen, every set of k maskable
positions equally likely: 19 of 128, 77 of 512. Each chosen token becomes the mask token (80 %),
a random token (10 %) or stays (10 %), drawn per token.

    the cat sat on the mat    ->  the cat [MASK] on the mat    positions [2], labels [sat]
"""

from __future__ import annotations

import numpy as np

from lmprep.batches import Columns, Sequences
from lmprep.keyed_random import Keys
from lmprep.objective_settings import MlmSettings
from lmprep.objectives.counting import wanted_predictions
from lmprep.objectives.masking import mask_chosen
from lmprep.objectives.token_choice import choose_tokens
from lmprep.vocabulary import Vocabulary


def corrupt(
    sequences: Sequences, settings: MlmSettings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Mask the sequences; row i draws only from keys[i] (uint64 [N]).

    Returns:
        `input_ids`, `masked_positions` and `masked_labels` of `masking.mask_chosen`.
    """
    marks = np.zeros(len(sequences.ids), np.uint8)
    wanted = wanted_predictions(sequences.offsets, settings.mask_rate)
    choose_tokens(sequences, wanted, keys, marks)
    return mask_chosen(sequences, marks, settings, vocabulary, keys)
