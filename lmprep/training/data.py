"""Batches out of datasets: step i of a run always sees the same rows.

Rows of an epoch come in a keyed permutation; a step takes the next `rows_per_step` of the endless
row of epochs, so that every batch has the same shape and the last rows of an epoch share a batch
with the first of the next. The place in the data follows from the step number alone: resuming
costs nothing and needs no state.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from lmprep import dynamic
from lmprep.batches import Columns, join_rows
from lmprep.errors import UsageError
from lmprep.keyed_random import key_for, permutation
from lmprep.objectives import stored_objective
from lmprep.ragged import Ragged, offsets_of
from lmprep.shards.reader import Dataset
from lmprep.training.batch import Batch, make_batch
from lmprep.training.fit import check_traits, traits
from lmprep.training.tasks import task_of

Rows = Dataset | dynamic.Redrawn


class TrainingData:
    """Datasets one after another, as an endless row of epochs.

    Args:
        folders: dataset folders of the same tokenizer, objective and pairs.
        batch_tokens: tokens in the inputs of a step, padding counted.
        seed: fixes the order of rows.
        static: epoch e reads stored copy e modulo their number, instead of rows corrupted anew.

    Raises:
        UsageError: the datasets do not go together, none can be trained on, or the batch holds no
            row.
    """

    def __init__(
        self, folders: Sequence[Path], *, batch_tokens: int, seed: int, static: bool
    ) -> None:
        self.datasets = [Dataset(folder) for folder in folders]
        first = self.datasets[0]
        for other in self.datasets[1:]:
            self.check_fits(other)
        tasks = [task_of(dataset.manifest, dataset.folder) for dataset in self.datasets]
        length = max(task.length for task in tasks)
        self.task = replace(tasks[0], length=length)
        self.rows_per_step = batch_tokens // length
        if self.rows_per_step < 1:
            raise UsageError(
                f"--batch-tokens {batch_tokens} holds no sequence of {length} tokens",
                fix=f"Give at least {length}",
            )
        self._starts = offsets_of([len(dataset) for dataset in self.datasets])
        if self.rows == 0:
            raise UsageError("the datasets hold no rows", path=first.folder)
        self._seed, self._static = seed, static
        self._epoch: tuple[int, list[Rows]] = (0, list(self.datasets))

    @property
    def rows(self) -> int:
        """Rows in an epoch."""
        return int(self._starts[-1])

    @property
    def tokens(self) -> int:
        """Tokens in an epoch, before corruption; padding not counted."""
        return sum(entry["tokens"] for dataset in self.datasets for entry in dataset.shards)

    def check_fits(self, other: Dataset) -> None:
        """Raise `UsageError` unless a dataset has the traits of these."""
        first = self.datasets[0]
        check_traits(other, traits(first.manifest), first.folder)

    def position(self, step: int) -> tuple[int, int]:
        """Epoch, and rows of it already seen, before step `step`."""
        return divmod(step * self.rows_per_step, self.rows)

    def batch(self, step: int) -> Batch:
        """The batch of step `step`, from 0."""
        epoch, start = self.position(step)
        parts: list[Columns] = []
        wanted = self.rows_per_step
        while wanted:
            stop = min(start + wanted, self.rows)
            parts += self._read(epoch, start, stop)
            wanted -= stop - start
            epoch, start = epoch + 1, 0
        return make_batch(join_rows(_alike(parts)), self.task)

    def _read(self, epoch: int, start: int, stop: int) -> list[Columns]:
        """Places start to stop of an epoch's order, the rows of each dataset by themselves."""
        key = key_for(self._seed, "epoch", copy=epoch)
        rows = permutation(self.rows, key, start, stop)
        owners = np.searchsorted(self._starts, rows, side="right") - 1
        opened = self._opened(epoch)
        return [
            opened[owner].rows(rows[owners == owner] - self._starts[owner])
            for owner in np.unique(owners)
        ]

    def _opened(self, epoch: int) -> list[Rows]:
        """The datasets as epoch `epoch` sees them."""
        if self._epoch[0] != epoch:
            self._epoch = (epoch, [self._copy(dataset, epoch) for dataset in self.datasets])
        return self._epoch[1]

    def _copy(self, dataset: Dataset, epoch: int) -> Rows:
        draws = stored_objective(dataset.manifest)[0].draws
        stored = self._static or not draws
        return dynamic.load(dataset.folder, epoch % dataset.copies if stored else epoch)


def _alike(parts: list[Columns]) -> list[Columns]:
    """The same rows; those of unpacked datasets say, too, that no further document begins."""
    if not any("document_starts" in part for part in parts):
        return parts
    rows = [len(part["document"]) for part in parts]
    none = [Ragged(np.empty(0, np.int32), np.zeros(count + 1, np.int64)) for count in rows]
    return [{"document_starts": empty, **part} for empty, part in zip(none, parts, strict=True)]


def prefetched(
    make: Callable[[int], Batch], first: int, stop: int | None = None, ahead: int = 2
) -> Generator[Batch, None, None]:
    """make(first), make(first + 1), ... up to `stop`, a few made ahead on another thread."""

    def ask(step: int) -> None:
        if stop is None or step < stop:
            waiting.append(pool.submit(make, step))

    with ThreadPoolExecutor(1, "batches") as pool:
        waiting: deque[Future[Batch]] = deque()
        try:
            for step in range(first, first + ahead):
                ask(step)
            while waiting:
                batch = waiting.popleft().result()
                first += 1
                ask(first + ahead - 1)
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)
