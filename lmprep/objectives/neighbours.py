"""Targets of language models that read in one direction: each state is scored on a neighbour."""

from __future__ import annotations

import numpy as np

from lmprep.ragged import Ragged, offsets_of

Targets = tuple[Ragged, Ragged]
"""Positions (int32) of the states that are scored, rising, and the ids they are scored on."""


def neighbour_targets(input_ids: Ragged, *, first: int, unscored: int, step: int) -> Targets:
    """The positions from `first` on, scored on the id `step` further.

    Args:
        input_ids: N rows.
        first: the first position that is scored.
        unscored: how many positions of a row are not.
        step: 1 for the next token, -1 for the one before.
    """
    lengths = np.maximum(0, input_ids.lengths - unscored)
    offsets = offsets_of(lengths)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    positions = (within + first).astype(np.int32)
    labels = input_ids.values[positions + np.repeat(input_ids.offsets[:-1], lengths) + step]
    return Ragged(positions, offsets), Ragged(labels, offsets)
