"""BART's inputs taken apart: what is left of the text, masks, and random tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.record import Batch
from lmprep.checks.row_arrays import in_rows, place_in_row, row_of
from lmprep.ragged import Ragged, offsets_of

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Remains:
    """N damaged rows.

    Args:
        original: the raw tokens.
        lost: bool [T], which of them the inputs do not hold any more.
        inputs: what is between the ends of the inputs.
        mask: id of the mask token.
    """

    original: Ragged
    lost: Flags
    inputs: Ragged
    mask: int

    @property
    def mask_counts(self) -> Places:
        """Masks in each row, int64 [N]."""
        return in_rows(self.inputs.values == self.mask, self.inputs.offsets)

    @property
    def random_counts(self) -> Places:
        """Random tokens in each row, int64 [N]."""
        return np.bincount(self.random_rows, minlength=len(self.original))

    @property
    def missing(self) -> Places:
        """Tokens that are not lost, but not in the inputs either, by row: int64 [N]."""
        keys, balance = self._balance
        short = np.maximum(0, -balance)
        return np.bincount(keys >> 32, short, len(self.original)).astype(np.int64)

    @property
    def random(self) -> NDArray[np.int32]:
        """The tokens of the inputs beyond masks and remains, row after row: int32 [R]."""
        keys, balance = self._balance
        ids: NDArray[np.int32] = (keys & 0xFFFFFFFF).astype(np.int32)
        return np.repeat(ids, self._beyond(balance, ids))

    @property
    def random_rows(self) -> Places:
        """The row of each of them, int64 [R]."""
        keys, balance = self._balance
        return np.repeat(keys >> 32, self._beyond(balance, keys & 0xFFFFFFFF))

    def _beyond(self, balance: Places, ids: NDArray[np.integer]) -> Places:
        return np.where(ids == self.mask, 0, np.maximum(0, balance))

    @cached_property
    def _balance(self) -> tuple[Places, Places]:
        """Each token of each row (row << 32 | id), and how often the inputs hold it beyond what
        is left of the text."""
        left, here = self._left_keys, _keys(self.inputs)
        keys, which = np.unique(np.concatenate([left, here]), return_inverse=True)
        balance = np.bincount(which, minlength=len(keys))
        balance -= 2 * np.bincount(which[: len(left)], minlength=len(keys))
        return keys, balance

    @property
    def _left_keys(self) -> Places:
        return _keys(self.original)[~self.lost]

    @cached_property
    def unique(self) -> tuple[Places, Places, Places]:
        """The tokens that tell where they went: alone of their kind in the inputs and in what is
        left of their row. By their order in the inputs, int64 each: their row, their position in
        the raw row, and their position in the inputs."""
        left = np.flatnonzero(~self.lost)
        source, target = _alone(self._left_keys), _alone(_keys(self.inputs))
        left_keys, input_keys = self._left_keys[source], _keys(self.inputs)[target]
        place = np.searchsorted(left_keys, input_keys)
        place = np.minimum(place, max(0, len(left_keys) - 1))
        same = left_keys[place] == input_keys if len(left_keys) else np.zeros(0, np.bool_)
        target, raw = target[same], left[source[place[same]]] if len(left_keys) else left[:0]
        order = np.argsort(target)
        target, raw = target[order], raw[order]
        row = row_of(self.inputs)[target]
        return row, place_in_row(self.original)[raw], place_in_row(self.inputs)[target]


def _keys(rows: Ragged) -> Places:
    keys: Places = (row_of(rows) << 32) | rows.values
    return keys


def _alone(keys: Places) -> Places:
    """Indices of the keys that occur once, in the order of the keys."""
    order = np.argsort(keys, kind="stable")
    same = keys[order][1:] == keys[order][:-1]
    alone: Places = order[~np.append(False, same) & ~np.append(same, False)][: len(keys)]
    return alone


def remains(batch: Batch) -> Remains:
    """A batch of BART's rows taken apart."""
    return batch.once(_remains)


def _remains(batch: Batch) -> Remains:
    original, inputs = _inner(batch, "labels"), _inner(batch, "input_ids")
    positions = batch.lists("noise_positions")
    lost = np.zeros(len(original.values), np.bool_)
    lost[np.repeat(original.offsets[:-1], positions.lengths) + positions.values - 1] = True
    return Remains(original, lost, inputs, batch.contract.mask)


def _inner(batch: Batch, name: str) -> Ragged:
    """A column less its first and last token."""
    column = batch.lists(name)
    stays = np.ones(len(column.values), np.bool_)
    stays[column.offsets[:-1]] = stays[column.offsets[1:] - 1] = False
    return Ragged(batch.flat(name)[stays], offsets_of(column.lengths - 2))
