"""The i.i.d. noise of T5's table: exactly k tokens of a row, every set of k equally likely."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Sequences
from lmprep.keyed_random import Keys
from lmprep.objectives.counting import wanted_predictions
from lmprep.objectives.token_choice import choose_tokens


def token_mask(sequences: Sequences, density: Fraction, keys: Keys) -> NDArray[np.bool_]:
    """bool [T], True on max(1, round(density * n)) of the n tokens of each row.

    Whether token t is chosen is drawn by counter 3t. T5's code draws for each token by itself:
    its numbers vary, and a short row may have no noise at all.
    """
    chosen = np.zeros(len(sequences.ids), np.uint8)
    choose_tokens(sequences, wanted_predictions(sequences.offsets, density), keys, chosen)
    mask: NDArray[np.bool_] = chosen != 0
    return mask
