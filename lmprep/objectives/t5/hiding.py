"""Tokens hidden one by one under a sentinel that serves as the mask token, the whole row predicted.

T5 (arXiv:1910.10683), section 3.3.1: what the BERT-style and the MASS-style objective share.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences, ragged
from lmprep.jit import bare_kernel
from lmprep.keyed_random import Keys, bernoulli, integer_below
from lmprep.objective_settings import T5Settings
from lmprep.objectives.restoring import sequences_of
from lmprep.objectives.row_ends import end_token, with_ends, without_ends
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary


def hide(
    text: Ragged,
    noise: NDArray[np.bool_],
    random_share: Fraction,
    vocabulary: Vocabulary,
    keys: Keys,
) -> Columns:
    """Inputs with the noise hidden, labels with all raw tokens; int32, ragged, N rows.

    Args:
        text: int32 [T], N rows.
        noise: bool [T].
        random_share: share of the noise that becomes a random token instead of sentinel 0, drawn
            for token t by counter 3t + 1; which one by 3t + 2.
    """
    end = (end_token(vocabulary),)
    inputs = with_ends(text, (), end)
    _hide(
        inputs.values,
        inputs.offsets,
        noise,
        text.offsets,
        vocabulary.sentinels[0],
        (random_share.numerator, random_share.denominator),
        vocabulary.replacements,
        keys,
    )
    return {"input_ids": inputs, "labels": with_ends(text, (), end)}


def restore(columns: Columns, settings: T5Settings, vocabulary: Vocabulary) -> Sequences:
    """The raw tokens: the labels without their end token."""
    return sequences_of(without_ends(ragged(columns, "labels"), 0, 1), columns, vocabulary)


def sizes(tokens: int, settings: T5Settings) -> tuple[int, int]:
    """Tokens in inputs and labels of a row of so many raw tokens, end tokens included."""
    return tokens + 1, tokens + 1


@bare_kernel
def _hide(
    inputs: NDArray[np.int32],
    input_offsets: NDArray[np.int64],
    noise: NDArray[np.bool_],
    offsets: NDArray[np.int64],
    mask: int,
    random_share: tuple[int, int],
    replacements: NDArray[np.int32],
    keys: Keys,
) -> None:
    for row in range(len(keys)):
        for t in range(offsets[row + 1] - offsets[row]):
            if not noise[offsets[row] + t]:
                continue
            token = mask
            if bernoulli(random_share[0], random_share[1], keys[row], 3 * t + 1):
                token = replacements[integer_below(len(replacements), keys[row], 3 * t + 2)]
            inputs[input_offsets[row] + t] = token
