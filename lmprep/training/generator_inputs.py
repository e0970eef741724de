"""Rows of whole texts as a generator sees them: masked while training, by a key for each row."""

from __future__ import annotations

import numpy as np

from lmprep.batches import Columns, ragged
from lmprep.keyed_random import Keys, key_for, sub_keys
from lmprep.objectives.electra import mask_for_generator, sampling_numbers
from lmprep.objectives.whole_rows import restore_whole
from lmprep.training.order import Numbers, Places
from lmprep.vocabulary import Vocabulary


def row_keys(places: Places, seed: int, *, static: bool) -> Keys:
    """A key for each row: of its dataset, epoch and number, so that no cut of a step matters.

    Args:
        static: whether all epochs have the masks of the first one.
    """
    epoch_N = np.zeros_like(places.epoch_N) if static else places.epoch_N
    keys = np.empty(len(places), np.uint64)
    pairs = np.stack((places.dataset_N, epoch_N), 1)
    for dataset, epoch in np.unique(pairs, axis=0).tolist():
        group = (places.dataset_N == dataset) & (epoch_N == epoch)
        key = key_for(seed, "generator", copy=epoch, source=dataset)
        keys[group] = sub_keys(key, places.row_N[group])
    return keys


def held_out_keys(rows: Numbers) -> Keys:
    """A key for each row of a held-out dataset, always the same: int64 [N] to uint64 [N]."""
    return sub_keys(key_for(0, "held-out generator"), rows)


def masked_for_generator(columns: Columns, vocabulary: Vocabulary, keys: Keys) -> Columns:
    """The rows with masks, what stood there, and in `draws` what the generator draws by."""
    masked = mask_for_generator(restore_whole(columns, None, vocabulary), vocabulary, keys)
    draws = sampling_numbers(ragged(masked, "masked_positions"), keys)
    return {**columns, **masked, "draws": draws}
