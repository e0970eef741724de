"""Dynamic masking: rows as they were before corruption, corrupted anew while reading.

RoBERTa (arXiv:1907.11692), section 4.1. Copy k redrawn here is, column for column, the copy k that
`lmprep build --copies` would have stored: the same function, the same key.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns
from lmprep.jit import bare_kernel
from lmprep.keyed_random import Keys, draw, key_for, permuted
from lmprep.objectives import stored_objective
from lmprep.shards.manifest import drawn_place
from lmprep.shards.reader import Dataset


def corruption_key(seed: int, copy: int, part: str, source: int, partition: int) -> np.uint64:
    """The key below which row r of a partition (before the shuffle) draws as sub-unit r."""
    return key_for(seed, f"corrupt {part}", copy=copy, source=source, partition=partition)


def order_key(seed: int, part: str, source: int, partition: int) -> np.uint64:
    """The key of the order in which a partition's rows are written."""
    return key_for(seed, f"order {part}", source=source, partition=partition)


class Redrawn:
    """A dataset whose rows are restored and corrupted anew as copy `copy`; else like `Dataset`.

    Rows of an objective that draws nothing are the same in every copy.

    Raises:
        ValueError: too little is stored to restore the rows.
    """

    def __init__(self, dataset: Dataset, copy: int) -> None:
        self.copy = copy
        self.folder, self.manifest = dataset.folder, dataset.manifest
        self.vocabulary, self.shards = dataset.vocabulary, dataset.shards
        self._dataset = dataset
        objective, self._settings = stored_objective(dataset.manifest)
        self._corrupt = objective.corrupt
        self._restore = objective.restore if objective.draws else None
        if objective.draws and self._restore is None:
            raise ValueError(
                f"copy {copy} is not stored, and {dataset.manifest['objective']} keeps too little "
                f"to be drawn anew; {dataset.folder} holds {dataset.copies}. Build more with "
                "--copies"
            )
        settings = dataset.manifest["settings"]
        self._keep_order = bool(settings["keep_order"])
        part = dataset.manifest["part"]
        places = [(part, *drawn_place(entry)) for entry in dataset.shards]
        seed = settings["seed"]
        self._corruption = np.array([corruption_key(seed, copy, *p) for p in places], np.uint64)
        self._order = np.array([order_key(seed, *p) for p in places], np.uint64)
        self._rows = np.array([entry["rows"] for entry in dataset.shards], np.int64)

    def __len__(self) -> int:
        return len(self._dataset)

    def rows(self, indices: NDArray[np.int64], names: Container[str] | None = None) -> Columns:
        """The given rows (int64 [B]) in the given order, corrupted anew if anything is drawn.

        Args:
            names: as for `Dataset.rows`.
        """
        if self._restore is None:
            return self._dataset.rows(indices, names)
        stored = self._dataset.rows(indices)
        sequences = self._restore(stored, self._settings, self.vocabulary)
        shards, local = self._dataset.locate(indices)
        keys = np.empty(len(indices), np.uint64)
        _row_keys(shards, local, self._rows, self._order, self._corruption, self._keep_order, keys)
        columns = self._corrupt(sequences, self._settings, self.vocabulary, keys)
        columns |= sequences.provenance()
        return {name: columns[name] for name in columns if not names or name in names}


def load(folder: str | Path, copy: int = 0) -> Dataset | Redrawn:
    """Open one copy of a dataset: a stored one, or beyond those one corrupted anew on reading."""
    dataset = Dataset(folder)
    if copy == 0:
        return dataset
    return Dataset(folder, copy=copy) if copy < dataset.copies else Redrawn(dataset, copy)


@bare_kernel
def _row_keys(
    shards: NDArray[np.int64],
    local: NDArray[np.int64],
    rows: NDArray[np.int64],
    order: Keys,
    corruption: Keys,
    keep_order: bool,
    keys: Keys,
) -> None:
    """The key of each row: that of its place before the shuffle, out: uint64 [B]."""
    for i in range(len(keys)):
        shard = shards[i]
        row = local[i] if keep_order else permuted(local[i], rows[shard], order[shard])
        keys[i] = draw(corruption[shard], row)
