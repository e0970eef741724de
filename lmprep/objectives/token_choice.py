"""Choosing single tokens: every set of k candidates of a row equally likely."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Sequences
from lmprep.jit import bare_kernel
from lmprep.keyed_random import Keys, integer_below
from lmprep.objectives.masking import DRAWS, FIRST, UNCHOSEN, Marks


def choose_tokens(
    sequences: Sequences, wanted: NDArray[np.int64], keys: Keys, marks: Marks
) -> None:
    """Mark `wanted` (int64 [N]) maskable tokens of each row that have no mark yet, or all of them.

    Each becomes a unit of its own. Whether token t is chosen is drawn by counter 3t.
    """
    _choose(sequences.maskable, sequences.offsets, keys, wanted, marks)


@bare_kernel
def _choose(
    maskable: NDArray[np.bool_],
    offsets: NDArray[np.int64],
    keys: Keys,
    wanted: NDArray[np.int64],
    marks: Marks,
) -> None:
    """Selection sampling (Knuth's algorithm S): one pass, each k-subset equally likely."""
    for row in range(len(keys)):
        start, stop = offsets[row], offsets[row + 1]
        left = 0
        for i in range(start, stop):
            left += maskable[i] and marks[i] == UNCHOSEN
        missing = min(left, wanted[row])
        for i in range(start, stop):
            if missing == 0:
                break
            if not maskable[i] or marks[i] != UNCHOSEN:
                continue
            if integer_below(left, keys[row], DRAWS * (i - start)) < missing:
                marks[i] = FIRST
                missing -= 1
            left -= 1
