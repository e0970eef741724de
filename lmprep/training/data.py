"""What a step sees: a pure function of where in the endless order it begins.

A step takes the next rows of the order (`lmprep.training.order`) that fill its bins
(`lmprep.training.bins`). Its rows, their places in bins and their corruption do not depend on how
many processes and batches share it; each process reads the rows of its own bins only. Nothing is
carried from step to step but the position: how many rows were taken before.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmprep.errors import UsageError
from lmprep.shards.reader import Dataset
from lmprep.training.batch import Batch, make_batch
from lmprep.training.bins import Bins, one_row_each, pack, slots
from lmprep.training.epochs import Epochs
from lmprep.training.fit import check_traits, target_limit, traits
from lmprep.training.generator_inputs import row_keys
from lmprep.training.order import Order, Places
from lmprep.training.prefetch import prefetched
from lmprep.training.static_shapes import Averages, averages
from lmprep.training.tasks import task_of

# Rows that fill so much of their bins are quicker padded: with 92 % of 512 filled, packing came to
# 0.93 times the speed on a CPU.
_NEARLY_FULL = 0.9


@dataclass(frozen=True, kw_only=True, eq=False)
class StepData:
    """A step, as one process sees it.

    Args:
        first, next: the position before and after it.
        tokens: in the rows of all processes, before corruption, as the datasets count them.
        batches: of this process, one after another.
    """

    first: int
    next: int
    tokens: int
    batches: list[Batch]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Taken:
    """The rows of a step and where they lie.

    Args:
        lengths_N: int64, tokens of each; None for encoder-decoders.
        targets: positions of a decoder behind an encoder; None for others.
    """

    places: Places
    bins: Bins
    lengths_N: NDArray[np.int64] | None = None
    targets: int | None = None


class TrainingData:
    """Datasets as an endless row of epochs, or mixed.

    Args:
        folders: dataset folders of the same tokenizer, objective and pairs.
        batch_tokens: positions in the inputs of a step, of all processes.
        seed: fixes the order of rows.
        static: epoch e reads stored copy e modulo their number, instead of rows corrupted anew.
        weights: shares of the datasets among the rows; empty for one epoch of all of them after
            another.
        packed: may short rows share a bin? Those of encoder-decoders and LSTMs never do, nor do
            rows that fill nine tenths of their bins by themselves.

    Raises:
        UsageError: the datasets do not go together, none can be trained on, the batch holds no
            row, or the weights do not go with the datasets.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        batch_tokens: int,
        seed: int,
        static: bool,
        weights: Sequence[Fraction] = (),
        packed: bool = True,
    ) -> None:
        self.datasets = [Dataset(folder) for folder in folders]
        for other in self.datasets[1:]:
            self.check_fits(other)
        tasks = [task_of(dataset.manifest, dataset.folder) for dataset in self.datasets]
        length = max(task.length for task in tasks)
        self.task = replace(tasks[0], length=length)
        self.bins = batch_tokens // length
        if self.bins < 1:
            raise UsageError(
                f"--batch-tokens {batch_tokens} holds no sequence of {length} tokens",
                fix=f"Give at least {length}",
            )
        try:
            self._order = Order([len(dataset) for dataset in self.datasets], seed, weights)
        except ValueError as error:
            raise UsageError(
                str(error),
                path=folders[0],
                fix="Give datasets with rows, and with --weights one share for each",
            ) from None
        self._epochs = Epochs(self.datasets, static=static)
        self._seed, self._static = seed, static
        short = self.tokens < _NEARLY_FULL * self.rows * length
        self._packed = packed and short and self.task.shares_bins

    @cached_property
    def rows(self) -> int:
        """Rows of all datasets."""
        return sum(len(dataset) for dataset in self.datasets)

    @cached_property
    def tokens(self) -> int:
        """Tokens of all datasets, before corruption; padding not counted."""
        return sum(entry["tokens"] for dataset in self.datasets for entry in dataset.shards)

    def check_fits(self, other: Dataset) -> None:
        """Raise `UsageError` unless a dataset has the traits of these."""
        first = self.datasets[0]
        check_traits(other, traits(first.manifest), first.folder)

    def epoch(self, position: int) -> float:
        """How many times all datasets' rows were taken before a position."""
        return position / self.rows

    def step(
        self,
        position: int,
        rank: int = 0,
        ranks: int = 1,
        micro_rows: int | None = None,
        static_shapes: bool = False,
    ) -> StepData:
        """The step that begins at a position.

        Args:
            position: rows taken before, from 0.
            rank: which of `ranks` processes this is, from 0.
            micro_rows: bins in a batch at most; None: one batch.
            static_shapes: all batches have the same number of bins, positions, targets and runs,
                filled up where need be; `static_shapes.py` says when a batch cannot.
        """
        taken = self._taken(position, static_shapes)
        own = slots(self.bins, rank, ranks, micro_rows)
        least = -(-self.bins // (ranks * len(own))) if static_shapes else 1
        batches = [
            self._batch(taken, first, stop, least=least, static_shapes=static_shapes)
            for first, stop in own
        ]
        return StepData(
            first=position,
            next=position + len(taken.places),
            tokens=self._tokens(taken, batches, ranks),
            batches=batches,
        )

    def _taken(self, position: int, static_shapes: bool) -> _Taken:
        """Rows and bins of a step; the same for every process."""
        if self._packed:
            return self._packing(position)
        places = self._order.between(position, position + self.bins)
        if self.task.model_kind == "encoder-decoder":
            length, targets = self._widths(places, static_shapes)
            return _Taken(places=places, bins=one_row_each(self.bins, length), targets=targets)
        return _Taken(
            places=places,
            bins=one_row_each(self.bins, self.task.length),
            lengths_N=self._epochs.row_lengths(places),
        )

    def _packing(self, position: int) -> _Taken:
        """As many rows as the bins take, of more than have room in them."""
        room = self.bins * self.task.length
        candidates = self.bins + room * self.rows // max(1, self.tokens)
        while True:
            places = self._order.between(position, position + candidates)
            lengths_N = self._epochs.row_lengths(places)
            if lengths_N.sum() > room:
                break
            candidates *= 2
        bins = pack(lengths_N, self.bins, self.task.length)
        first = np.arange(len(bins))
        return _Taken(places=places.take(first), bins=bins, lengths_N=lengths_N[first])

    def _widths(self, places: Places, static_shapes: bool) -> tuple[int, int]:
        """Positions of the encoder and of the decoder: the longest inputs and targets of a step.

        Where those are not known without reading rows of other processes (rows drawn anew), or
        are to be constant, as many as any row may have.
        """
        limits = self.task.length, self._target_limit
        if static_shapes:
            return limits
        inputs, targets = (
            int(self._epochs.row_lengths(places, name).max()) for name in ("input_ids", "labels")
        )
        if self._epochs.are_stored(places):
            return inputs, targets
        return limits[0], targets if self.task.whole_text else limits[1]

    @cached_property
    def _target_limit(self) -> int:
        return target_limit(self.datasets, self.task)

    @cached_property
    def _averages(self) -> Averages:
        targets = self._target_limit
        return averages(self.datasets, self.task, packed=self._packed, targets=targets)

    def _batch(
        self, taken: _Taken, first: int, stop: int, *, least: int, static_shapes: bool
    ) -> Batch:
        """Bins first to stop - 1 of a step, and empty ones to make at least `least`."""
        rows, bins = taken.bins.between(first, stop)
        count = max(least, stop - first)
        places, keys = taken.places.take(rows), None
        if self.task.replaces:
            keys = row_keys(places, self._seed, static=self._static)
        return make_batch(
            self._epochs.rows(places, self.task.columns),
            self.task,
            bins.with_count(count),
            row=first,
            counts=self._averages.counts(count) if static_shapes else None,
            targets=taken.targets,
            keys=keys,
        )

    def _tokens(self, taken: _Taken, batches: Sequence[Batch], ranks: int) -> int:
        """Of the whole step. Of an encoder-decoder, what `make_batch` counts."""
        if taken.lengths_N is not None:
            return int(taken.lengths_N.sum())
        if ranks == 1:
            return sum(batch.tokens for batch in batches)
        names = ("labels",) if self.task.whole_text else ("input_ids", "labels")
        text = self.task.vocabulary.maskable
        return sum(int(self._epochs.row_counts(taken.places, n, text).sum()) for n in names)


def steps(
    data: TrainingData,
    position: int,
    rank: int = 0,
    ranks: int = 1,
    micro_rows: int | None = None,
    static_shapes: bool = False,
    pinned: bool = False,
) -> Generator[StepData, None, None]:
    """The steps from a position on, made ahead on another thread until closed.

    Args:
        rank, ranks, micro_rows, static_shapes: see `TrainingData.step`.
        pinned: batches in page-locked memory.
    """

    def endless() -> Iterator[StepData]:
        first = position
        while True:
            step = data.step(first, rank, ranks, micro_rows, static_shapes)
            if pinned:
                step = replace(step, batches=[batch.pinned() for batch in step.batches])
            yield step
            first = step.next

    return prefetched(endless())
