"""Datasets as their epochs see them: first as they are stored, later corrupted anew."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lmprep import dynamic
from lmprep.batches import Columns, join_rows, take_rows
from lmprep.objectives import stored_objective
from lmprep.ragged import Ragged
from lmprep.shards.reader import Dataset
from lmprep.training.order import Places

Rows = Dataset | dynamic.Redrawn
Numbers = NDArray[np.int64]


class Epochs:
    """Rows of several datasets in several epochs.

    Args:
        datasets: their stored copies number 0.
        static: epoch e reads stored copy e modulo their number; else epoch e is copy e, drawn anew
            where it is not stored. What draws nothing is the same in every epoch.
    """

    def __init__(self, datasets: Sequence[Dataset], *, static: bool) -> None:
        self._datasets = datasets
        drawing = [stored_objective(each.manifest)[0].draws and not static for each in datasets]
        self._redrawn = np.array(drawing, np.bool_)
        self._stored = np.array([each.copies for each in datasets], np.int64)
        self._open: dict[tuple[int, int], Rows] = {}

    def are_stored(self, places: Places) -> bool:
        """Are all of these rows read as they are stored?"""
        copies = self._stored[places.dataset_N]
        return not (self._redrawn[places.dataset_N] & (places.epoch_N >= copies)).any()

    def rows(self, places: Places, names: Container[str]) -> Columns:
        """These rows in this order, the columns with these names as far as there are any."""
        if len(places) == 0:
            first = Places(dataset_N=_ZERO, epoch_N=_ZERO, row_N=_ZERO)
            return take_rows(self.rows(first, names), np.empty(0, np.int64))
        groups = list(self._groups(places))
        parts = [opened.rows(places.row_N[group], names) for opened, group in groups]
        if len(parts) == 1:
            return parts[0]
        back = np.argsort(np.concatenate([group for _, group in groups]), kind="stable")
        return take_rows(join_rows(_alike(parts)), back)

    def row_lengths(self, places: Places, name: str = "input_ids") -> Numbers:
        """Values in a ragged column of each row, int64 [N].

        Of rows that are drawn anew, as stored in copy 0: ask only for what stays as long.
        """
        lengths = np.empty(len(places), np.int64)
        for dataset, group in self._stored_groups(places):
            lengths[group] = dataset.row_lengths(places.row_N[group], name)
        return lengths

    def row_counts(self, places: Places, name: str, counted: NDArray[np.bool_]) -> Numbers:
        """How many values v of a ragged column have counted[v]: int64 [N]; as `row_lengths`."""
        counts = np.empty(len(places), np.int64)
        for dataset, group in self._stored_groups(places):
            counts[group] = dataset.row_counts(places.row_N[group], name, counted)
        return counts

    def _stored_groups(self, places: Places) -> Iterator[tuple[Dataset, Numbers]]:
        for opened, group in self._groups(places):
            if isinstance(opened, Dataset):
                yield opened, group
            else:
                yield self._datasets[int(places.dataset_N[group[0]])], group

    def _groups(self, places: Places) -> Iterator[tuple[Rows, Numbers]]:
        """Every copy that rows come from, and which of the rows do."""
        which = places.dataset_N + len(self._datasets) * places.epoch_N
        for number in np.unique(which).tolist():
            epoch, dataset = divmod(number, len(self._datasets))
            yield self._opened(dataset, epoch), np.flatnonzero(which == number)

    def _opened(self, dataset: int, epoch: int) -> Rows:
        """A dataset as an epoch of it sees it."""
        stored = self._datasets[dataset]
        copy = epoch if self._redrawn[dataset] else epoch % stored.copies
        if copy == 0:
            return stored
        if (dataset, copy) not in self._open:
            while len(self._open) > 2 * len(self._datasets):  # a step may need two of each
                del self._open[next(iter(self._open))]
            redrawn = copy >= stored.copies
            self._open[dataset, copy] = (
                dynamic.Redrawn(stored, copy) if redrawn else Dataset(stored.folder, copy=copy)
            )
        return self._open[dataset, copy]


_ZERO = np.zeros(1, np.int64)


def _alike(parts: list[Columns]) -> list[Columns]:
    """The same rows; those of unpacked datasets say, too, that no further document begins."""
    if not any("document_starts" in part for part in parts):
        return parts
    rows = [len(part["input_ids"]) for part in parts]
    none = [Ragged(np.empty(0, np.int32), np.zeros(count + 1, np.int64)) for count in rows]
    return [{"document_starts": empty, **part} for empty, part in zip(none, parts, strict=True)]
