"""Deshuffling: all tokens in a random order; predict the right one.

T5 (arXiv:1910.10683), section 3.3.1. Every order is equally likely.

    The old boat left        inputs  boat The left old        targets  The old boat left
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences
from lmprep.jit import bare_kernel
from lmprep.keyed_random import Keys, integer_below
from lmprep.objective_settings import T5Settings
from lmprep.objectives.row_ends import end_token, with_ends
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary


def corrupt(
    sequences: Sequences, settings: T5Settings, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """Inputs with the raw tokens shuffled, labels with them in order; int32, ragged, N rows."""
    text, end = Ragged(sequences.ids, sequences.offsets), (end_token(vocabulary),)
    inputs = with_ends(text, (), end)
    _shuffle(inputs.values, inputs.offsets, keys)
    return {"input_ids": inputs, "labels": with_ends(text, (), end)}


@bare_kernel
def _shuffle(ids: NDArray[np.int32], offsets: NDArray[np.int64], keys: Keys) -> None:
    """Shuffle each row but for its end token, in place; counter t draws the partner of token t."""
    for row in range(len(keys)):
        start = offsets[row]
        for t in range(offsets[row + 1] - 2 - start, 0, -1):
            other = start + integer_below(t + 1, keys[row], t)
            ids[start + t], ids[other] = ids[other], ids[start + t]
