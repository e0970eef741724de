"""Forward and backward language models: every token from those before it, and from those behind.

ELMo (arXiv:1802.05365), section 3.1. Rows are stored as they are, between a begin and an end token.
Both directions predict the same tokens, all between those two: t1 in [CLS] t1 ... tN [SEP] from
[CLS] or from t2 ... [SEP]. Both are of the same text, where ELMo's code reads two files.

    [CLS] I saw a cat [SEP]    forward   I saw a cat    at positions 0 1 2 3
                               backward  I saw a cat    at positions 2 3 4 5
"""

from __future__ import annotations

import numpy as np

from lmprep.batches import Columns, ragged
from lmprep.objectives.neighbours import Targets, neighbour_targets
from lmprep.ragged import Ragged


def forward_targets(input_ids: Ragged) -> Targets:
    """What the states of a model that reads from the left are scored on: `neighbours.Targets`."""
    return neighbour_targets(input_ids, first=0, unscored=2, step=1)


def backward_targets(input_ids: Ragged) -> Targets:
    """What the states of a model that reads from the right are scored on, by rising position."""
    return neighbour_targets(input_ids, first=2, unscored=2, step=-1)


def scored(columns: Columns) -> int:
    """How many tokens are predicted, each by both directions."""
    lengths = ragged(columns, "input_ids").lengths
    return int(np.maximum(0, lengths - 2).sum())
