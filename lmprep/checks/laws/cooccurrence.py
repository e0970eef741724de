"""What is checked of cooccurrence: pairs of ids with a count, sorted, over all shards."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.outcomes import RowLaw
from lmprep.checks.record import Batch, Check, Contract, Law, Subject
from lmprep.keyed_random import sub_keys
from lmprep.ragged import Ragged

Flags = NDArray[np.bool_]


def _pair_sound(contract: Contract) -> Sequence[Law]:
    maskable = contract.vocabulary.maskable

    def broken(batch: Batch) -> Flags:
        pair = np.stack([batch.values("word"), batch.values("context")])
        outside = (pair < 0) | (pair >= len(maskable))
        outside |= ~maskable[np.clip(pair, 0, len(maskable) - 1)]
        either: Flags = np.logical_or(outside[0], outside[1])
        return either

    return [RowLaw("ids", "of the vocabulary, none special", broken)]


def weights(batch: Batch) -> NDArray[np.float64]:
    """The counts, float64 [N]."""
    column = batch.columns["weight"]
    assert not isinstance(column, Ragged)
    return column.astype(np.float64)


def _weight_law(contract: Contract) -> RowLaw:
    """Counts are sums of 1/d: multiples of one over the least common multiple, as far as float32
    can tell."""
    window = contract.settings.window
    unit = math.lcm(*range(1, window + 1))

    def off_grid(batch: Batch) -> Flags:
        weight = weights(batch)
        least = (1 - 1e-6) / window
        wrong = np.logical_or(~np.isfinite(weight), weight < least)
        whole: NDArray[np.float64] = np.where(wrong, 0.0, weight) * unit
        told = np.abs(whole) < 2.0**20  # sixteen float32 steps between two multiples
        off: Flags = np.abs(whole - np.round(whole)) > 0.1
        broken: Flags = np.logical_or(wrong, np.logical_and(told, off))
        return broken

    return RowLaw("weights", f"sums of 1/d, d up to {window}", off_grid)


class Sorted:
    """Pairs rise, by word and then by context, through all shards in their order."""

    def __init__(self) -> None:
        self._last = -1
        self._rows = self._broken = 0
        self._first = ""

    def see(self, batch: Batch) -> None:
        key = (batch.values("word") << 32) | batch.values("context")
        broken = np.diff(key, prepend=self._last) <= 0
        self._rows, self._broken = self._rows + len(key), self._broken + int(broken.sum())
        if broken.any() and not self._first:
            self._first = f"first in {batch.file}, row {batch.numbers[np.argmax(broken)]}"
        self._last = int(key[-1]) if len(key) else self._last

    def check(self) -> Check:
        return Check(
            name="sorted",
            expected="by word and context, no pair twice",
            found=f"{self._rows - self._broken} of {self._rows} rows",
            tolerance="",
            passed=not self._broken,
            detail=self._first,
        )


class Symmetric:
    """(a, b) counts what (b, a) counts: seen by hashes of all pairs, summed either way round."""

    def __init__(self) -> None:
        self._rows = 0
        self._sums = np.zeros(2, np.uint64)

    def see(self, batch: Batch) -> None:
        word, context = batch.values("word"), batch.values("context")
        weight = weights(batch).view(np.uint64)
        self._rows += len(batch)
        for i, (a, b) in enumerate(((word, context), (context, word))):
            pair = sub_keys(np.uint64(1), (a << 32) | b)
            self._sums[i : i + 1] += sub_keys(np.uint64(2), (pair ^ weight).view(np.int64)).sum()

    def check(self) -> Check:
        same = bool(self._sums[0] == self._sums[1])
        return Check(
            name="symmetric",
            expected="(a, b) counts as much as (b, a)",
            found=f"{'so' if same else 'not so'} in {self._rows} pairs",
            tolerance="",
            passed=same,
        )


class TotalWeight:
    """No more is counted than so many tokens can have neighbours."""

    def __init__(self, contract: Contract) -> None:
        self._total = 0.0
        harmonic = sum(1 / d for d in range(1, contract.settings.window + 1))
        self._most = 2 * harmonic * contract.manifest["input_tokens"]

    def see(self, batch: Batch) -> None:
        self._total += float(weights(batch).sum())

    def check(self) -> Check:
        return Check(
            name="total weight",
            expected=f"{self._most:.1f} at most",
            found=f"{self._total:.1f}",
            tolerance="1e-6 of it",
            passed=self._total <= self._most * (1 + 1e-6),
        )


COOCCURRENCE = Subject(
    frame="",
    columns=lambda contract: {"word": "int32", "context": "int32", "weight": "float32"},
    undo=lambda batch: Ragged(np.zeros(0, np.int32), np.zeros(len(batch) + 1, np.int64)),
    scored=len,
    sound=_pair_sound,
    laws=lambda contract: [
        _weight_law(contract),
        Sorted(),
        Symmetric(),
        TotalWeight(contract),
    ],
)
