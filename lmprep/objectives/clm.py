"""Next-word prediction: every token from those before it.

GPT (Radford et al. 2018), section 3.1. Rows are stored as they are, in windows of a stream in which
a separator follows each document. The state at position t is scored on the token at t + 1; the last
has nothing to be scored on.

    I saw a cat .    ->  saw a cat .    at positions 0 1 2 3
"""

from __future__ import annotations

import numpy as np

from lmprep.batches import Columns, ragged
from lmprep.objectives.neighbours import Targets, neighbour_targets
from lmprep.ragged import Ragged


def next_tokens(input_ids: Ragged) -> Targets:
    """What each state but the last of a row is scored on: `neighbours.Targets`."""
    return neighbour_targets(input_ids, first=0, unscored=1, step=1)


def scored(columns: Columns) -> int:
    """How many tokens are predicted: all but the first of each row."""
    lengths = ragged(columns, "input_ids").lengths
    return int(np.maximum(0, lengths - 1).sum())
