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
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lmprep import dynamic
from lmprep.batches import Columns, join_rows
from lmprep.errors import UsageError
from lmprep.keyed_random import key_for, permutation
from lmprep.ragged import offsets_of
from lmprep.shards.collate import (
    PAIR_LABELS,
    flat_labels,
    flat_positions,
    padded_ids,
    plain,
    ragged,
    token_types,
)
from lmprep.shards.reader import Dataset
from lmprep.training.fit import check_traits, sequence_length, traits
from lmprep.vocabulary import Vocabulary

Rows = Dataset | dynamic.Redrawn


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """One step's input; B rows, L positions, M masked tokens.

    Args:
        ids_BL, types_BL: int32, padded on the right.
        lengths_B: int64, tokens in each row; None when no row is padded.
        masked_M: int64, `row * L + position` of each masked token.
        labels_M: int64, their original ids.
        pairs_B: int64, next-sentence or sentence-order labels; None without pairs.
        tokens: in the batch, padding not counted.
    """

    ids_BL: Tensor
    types_BL: Tensor
    lengths_B: Tensor | None
    masked_M: Tensor
    labels_M: Tensor
    pairs_B: Tensor | None
    tokens: int

    def pinned(self) -> Batch:
        """In page-locked memory, from which a copy to a CUDA device need not be waited for."""
        return self._each(Tensor.pin_memory)

    def to(self, device: torch.device) -> Batch:
        """On the device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        tensors = {k: change(v) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **tensors)  # type: ignore[arg-type]


def make_batch(columns: Columns, length: int, vocabulary: Vocabulary) -> Batch:
    """Collate rows, padded to `length`."""
    lengths = ragged(columns, "input_ids").lengths
    pairs = next((plain(columns, name) for name in PAIR_LABELS if name in columns), None)
    return Batch(
        ids_BL=torch.from_numpy(padded_ids(columns, length, vocabulary, np.int32)),
        types_BL=torch.from_numpy(token_types(columns, length, np.int32)),
        lengths_B=None if lengths.min() == length else torch.from_numpy(lengths),
        masked_M=torch.from_numpy(flat_positions(columns, length)),
        labels_M=torch.from_numpy(flat_labels(columns)),
        pairs_B=None if pairs is None else torch.from_numpy(pairs.astype(np.int64)),
        tokens=int(lengths.sum()),
    )


class TrainingData:
    """Datasets one after another, as an endless row of epochs.

    Args:
        folders: dataset folders of the same tokenizer, objective and pairs.
        batch_tokens: tokens in a step, padding counted.
        seed: fixes the order of rows.
        static: epoch e reads stored copy e modulo their number, instead of masks drawn anew.

    Raises:
        UsageError: the datasets do not go together, or the batch holds no row.
    """

    def __init__(
        self, folders: Sequence[Path], *, batch_tokens: int, seed: int, static: bool
    ) -> None:
        self.datasets = [Dataset(folder) for folder in folders]
        first = self.datasets[0]
        for other in self.datasets[1:]:
            self.check_fits(other)
        self.vocabulary = first.vocabulary
        self.length = max(sequence_length(dataset.manifest) for dataset in self.datasets)
        self.rows_per_step = batch_tokens // self.length
        if self.rows_per_step < 1:
            raise UsageError(
                f"--batch-tokens {batch_tokens} holds no sequence of {self.length} tokens",
                fix=f"Give at least {self.length}",
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
        """Tokens in an epoch, padding not counted."""
        return sum(entry["tokens"] for dataset in self.datasets for entry in dataset.shards)

    def check_fits(self, other: Dataset) -> None:
        """Raise `UsageError` unless a dataset has the tokenizer, objective and pairs of these."""
        first = self.datasets[0]
        check_traits(other, traits(first.manifest), first.folder)

    @property
    def has_pairs(self) -> bool:
        """Do the rows carry a pair label?"""
        return traits(self.datasets[0].manifest)["pairs"] != "none"

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
        return make_batch(join_rows(parts), self.length, self.vocabulary)

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
        return dynamic.load(dataset.folder, epoch % dataset.copies if self._static else epoch)


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
