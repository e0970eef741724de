"""The endless order of a training: which row of which dataset comes as number i, for any i at once.

Nothing is carried along: number i is found in constant time, so a training resumes anywhere, and
any number of processes agree on the rows of a step without a word.

The whole specification, so that a second implementation can match it (`permuted` and `key_for` are
those of `lmprep.keyed_random`, // rounds down):

    A pool of n rows gives its rows epoch after epoch. Its number j is, in epoch e = j // n, the row
    permuted(j - e * n, n, key_for(seed, "epoch", copy=e, source=number of the pool)).

    Without weights there is one pool, number 0: all datasets one after another. Number i of the
    order is its number i.

    With weights w_0, w_1, ... each dataset is a pool, numbered as it was given, and the order comes
    in blocks of 1024 rows. The first b blocks hold T_p(b) rows of pool p: its exact share
    1024 * b * w_p / (w_0 + w_1 + ...) rounded down, and one more for the pools with the largest
    remainders (of equal ones the first), as many as are missing from 1024 * b. So shares are never
    off by a row, however long the training. Within block b = i // 1024 the rows of pool 0 stand
    first, T_0(b + 1) - T_0(b) of them, its numbers T_0(b), T_0(b) + 1, ...; then those of pool 1,
    and so on; number i of the order is the one at place
    permuted(i - 1024 * b, 1024, key_for(seed, "mixture", copy=b)).

A pool has at least one row in each block; else a quota by largest remainder could shrink.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import kernel
from lmprep.keyed_random import Keys, key_for, permuted
from lmprep.ragged import offsets_of

BLOCK = 1024
"""Rows of a block, in which the quotas of a mixture are exact."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """Rows of several datasets, in their order.

    Args:
        dataset_N, epoch_N, row_N: int64, which dataset, in which of its epochs (without weights:
            of all datasets together), which row of it.
    """

    dataset_N: Numbers
    epoch_N: Numbers
    row_N: Numbers

    def __len__(self) -> int:
        return len(self.row_N)

    def take(self, places: Numbers) -> Places:
        """Those at these places (int64), in this order."""
        return Places(
            dataset_N=self.dataset_N[places],
            epoch_N=self.epoch_N[places],
            row_N=self.row_N[places],
        )


class Order:
    """The endless order over datasets of these sizes.

    Args:
        sizes: rows of each dataset.
        seed: fixes the order.
        weights: shares of the datasets among the rows, up to a common factor; empty for one epoch
            over all datasets after another.

    Raises:
        ValueError: there are no rows, or the weights do not go with the datasets.
    """

    def __init__(self, sizes: Sequence[int], seed: int, weights: Sequence[Fraction] = ()) -> None:
        if sum(sizes) == 0:
            raise ValueError("the datasets hold no rows")
        self._sizes, self._seed = list(sizes), seed
        self._starts = offsets_of(sizes)
        self._weights = _whole(weights)
        if weights:
            _check(self._weights, self._sizes)

    def between(self, start: int, stop: int) -> Places:
        """Numbers start to stop - 1 of the order."""
        return self.at(np.arange(start, stop, dtype=np.int64))

    def at(self, numbers: Numbers) -> Places:
        """These numbers of the order, int64 [N], each at least 0."""
        if self._weights:
            return self._mixed(numbers)
        epoch, row = self._from_pool(0, int(self._starts[-1]), numbers)
        dataset = np.searchsorted(self._starts, row, side="right") - 1
        return Places(dataset_N=dataset, epoch_N=epoch, row_N=row - self._starts[dataset])

    def _mixed(self, numbers: Numbers) -> Places:
        blocks, place = np.divmod(numbers, BLOCK)
        distinct, which = np.unique(blocks, return_inverse=True)
        before = np.array([self._quotas(int(block)) for block in distinct], np.int64)
        after = np.array([self._quotas(int(block) + 1) for block in distinct], np.int64)
        ends = np.cumsum(after - before, axis=1)
        place = _permuted_each(place, BLOCK, self._keys("mixture", distinct)[which])
        pool = (place[:, None] >= ends[which]).sum(1)
        first = (ends - (after - before))[which, pool]
        number = before[which, pool] + place - first
        epoch, row = np.empty_like(number), np.empty_like(number)
        for each in np.unique(pool).tolist():
            here = pool == each
            epoch[here], row[here] = self._from_pool(each, self._sizes[each], number[here])
        return Places(dataset_N=pool, epoch_N=epoch, row_N=row)

    def _from_pool(self, pool: int, rows: int, numbers: Numbers) -> tuple[Numbers, Numbers]:
        """Epoch and row of these numbers of a pool, int64 [N] each."""
        epochs, places = np.divmod(numbers, rows)
        distinct, which = np.unique(epochs, return_inverse=True)
        keys = self._keys("epoch", distinct, pool)[which]
        return epochs, _permuted_each(places, rows, keys)

    def _keys(self, purpose: str, copies: Numbers, source: int = 0) -> Keys:
        keys = [key_for(self._seed, purpose, copy=copy, source=source) for copy in copies.tolist()]
        return np.array(keys, np.uint64)

    def _quotas(self, blocks: int) -> list[int]:
        """Rows of each pool in the first blocks: T_p(blocks)."""
        total = sum(self._weights)
        shares = [divmod(BLOCK * blocks * weight, total) for weight in self._weights]
        quotas = [whole for whole, _ in shares]
        by_remainder = sorted(range(len(shares)), key=lambda pool: -shares[pool][1])
        for pool in by_remainder[: BLOCK * blocks - sum(quotas)]:
            quotas[pool] += 1
        return quotas


def _whole(weights: Sequence[Fraction]) -> list[int]:
    """The same proportions in whole numbers."""
    common = math.lcm(*(weight.denominator for weight in weights))
    return [int(weight * common) for weight in weights]


def _check(weights: Sequence[int], sizes: Sequence[int]) -> None:
    if len(weights) != len(sizes):
        raise ValueError(f"{len(weights)} weights do not go with {len(sizes)} datasets")
    for number, (weight, rows) in enumerate(zip(weights, sizes, strict=True), 1):
        if weight <= 0 or weight * BLOCK < sum(weights):
            share = weight / max(1, sum(weights))
            raise ValueError(
                f"weight {number} is a share of {share:.3g}; the least is one row in {BLOCK}"
            )
        if rows == 0:
            raise ValueError(f"dataset {number} has a weight but no rows")


@kernel
def _permuted_each(places: Numbers, n: int, keys: Keys) -> Numbers:
    """`permuted` of each place under a key of its own: int64 [N]."""
    out = np.empty(len(places), np.int64)
    for i in range(len(places)):
        out[i] = permuted(places[i], n, keys[i])
    return out
