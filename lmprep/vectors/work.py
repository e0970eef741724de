"""A dataset as blocks of pairs, windows or counts, in an order of its own in each epoch.

Block b of a training is a pure function of the dataset, the settings and b: so a training goes on
anywhere. Every draw of a row has a key of its own, below (seed, "pairs", epoch).
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import plain, ragged
from lmprep.errors import UsageError
from lmprep.keyed_random import key_for, permutation, sub_keys
from lmprep.objectives import stored_objective
from lmprep.objectives.cbow import draw_windows
from lmprep.objectives.cooccurrence import fit_weights
from lmprep.objectives.skipgram import NoiseTable, draw_pairs, noise_table
from lmprep.shards.reader import Dataset
from lmprep.vectors.model import Block, WeightedCounts
from lmprep.vectors.settings import VectorSettings

# Tokens, or counts, in a block: little enough to stop soon when asked, enough to be quick.
_BLOCK = 65_536
_COUNTED_AT_ONCE = 1 << 20


class Work:
    """What a training sees, block after block.

    Args:
        folder: a dataset for skip-gram or of co-occurrence counts.
        settings: of the training.
        counts: int64 [V], how often each word occurs, for the law of the negatives; by default
            as the dataset says.

    Raises:
        UsageError: the dataset is of another objective, or empty.
    """

    def __init__(
        self, folder: Path, settings: VectorSettings, counts: NDArray[np.int64] | None = None
    ) -> None:
        self.dataset = Dataset(folder)
        self.settings = settings
        try:
            settings.check_objective(self.dataset.manifest["objective"])
        except ValueError as error:
            raise UsageError(
                str(error), path=folder, fix="`lmprep docs word-vectors` has the way from text"
            ) from None
        if len(self.dataset) == 0:
            raise UsageError(
                "the dataset holds no rows to learn from",
                path=folder,
                fix="Build it from more text: `lmprep inspect` tells what was dropped, and why",
            )
        self.objective_settings = stored_objective(self.dataset.manifest)[1]
        if counts is not None:
            self.counts = counts
        self._copies: dict[int, Dataset] = {}

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How often each id occurs (co-occurrence: with how many others), int64 [V]."""
        if self.settings.objective == "skipgram":
            return self.dataset.word_counts
        counts = np.zeros(self.dataset.vocabulary.size, np.int64)
        for start in range(0, len(self.dataset), _COUNTED_AT_ONCE):
            rows = np.arange(start, min(start + _COUNTED_AT_ONCE, len(self.dataset)))
            counts += np.bincount(plain(self.dataset.rows(rows), "word"), minlength=len(counts))
        return counts

    @cached_property
    def tokens(self) -> int:
        """Of an epoch: tokens of the text after subsampling, or counts."""
        if self.settings.objective == "cooccurrence":
            return len(self.dataset)
        return sum(entry["tokens"] for entry in self.dataset.shards)

    @cached_property
    def _rows_a_block(self) -> int:
        return max(1, _BLOCK * len(self.dataset) // max(1, self.tokens))

    @cached_property
    def blocks(self) -> int:
        """Of an epoch."""
        return math.ceil(len(self.dataset) / self._rows_a_block)

    def block(self, number: int) -> Block:
        """Block `number` of the training, from 0; epochs follow one another."""
        epoch, place = divmod(number, self.blocks)
        first = place * self._rows_a_block
        stop = min(first + self._rows_a_block, len(self.dataset))
        order = key_for(self.settings.seed, "epoch", copy=epoch)
        rows = permutation(len(self.dataset), order, first, stop)
        return self._block(self._copy(epoch % self.dataset.copies), rows, epoch)

    def in_order(self, number: int) -> Block:
        """Block `number` of the rows as they are stored: to score them, the same every time."""
        first = number * self._rows_a_block
        rows = np.arange(first, min(first + self._rows_a_block, len(self.dataset)))
        return self._block(self.dataset, rows, 0)

    def _copy(self, copy: int) -> Dataset:
        """A stored copy: each has its own subsampling."""
        if copy not in self._copies:
            self._copies[copy] = Dataset(self.dataset.folder, copy=copy)
        return self._copies[copy]

    def _block(self, dataset: Dataset, rows: NDArray[np.int64], epoch: int) -> Block:
        columns = dataset.rows(rows)
        if self.settings.objective == "cooccurrence":
            counts = plain(columns, "weight").astype(np.float64)
            return WeightedCounts(
                words=plain(columns, "word"),
                contexts=plain(columns, "context"),
                logs=np.log(counts),
                weights=fit_weights(counts, self.settings.ceiling, self.settings.power),
            )
        keys = sub_keys(key_for(self.settings.seed, "pairs", copy=epoch), rows)
        drawing = draw_pairs if self.settings.family == "word2vec" else draw_windows
        return drawing(ragged(columns, "input_ids"), self.objective_settings, self.noise, keys)

    @cached_property
    def noise(self) -> NoiseTable:
        """The law of the negatives."""
        return noise_table(self.counts)
