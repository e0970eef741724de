"""The way back: columns as the sequences they were made from."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences, ragged
from lmprep.jit import bare_kernel
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary

_TOKEN_LEVEL = {"ids", "word_start", "maskable", "offsets"}
_PROVENANCE = [f.name for f in fields(Sequences) if f.name not in _TOKEN_LEVEL]


def restore_masked(columns: Columns, settings: object, vocabulary: Vocabulary) -> Sequences:
    """Put the labels of a masked objective back in their places."""
    corrupted = ragged(columns, "input_ids")
    positions, labels = ragged(columns, "masked_positions"), ragged(columns, "masked_labels")
    ids = corrupted.values.astype(np.int32)  # a copy
    _put_back(ids, corrupted.offsets, positions.values, labels.values, positions.offsets)
    return sequences_of(Ragged(ids, corrupted.offsets), columns, vocabulary)


def sequences_of(original: Ragged, columns: Columns, vocabulary: Vocabulary) -> Sequences:
    """Sequences of these ids, with the word starts and the provenance that the columns hold.

    Word starts come back as True where they are not stored: the objective does not use them.
    """
    ids = original.values.astype(np.int32, copy=False)
    if "word_start" in columns:
        word_start = ragged(columns, "word_start").values
    else:
        word_start = np.ones(len(ids), np.bool_)
    return Sequences(
        ids=ids,
        word_start=word_start,
        maskable=vocabulary.maskable[ids],
        offsets=original.offsets,
        **{name: columns[name] for name in _PROVENANCE if name in columns},  # type: ignore[arg-type]
    )


@bare_kernel
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
