"""Rows whose labels hold all of them: bert-style and mass, which hide tokens, and deshuffle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import lgamma
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.noise import Undone, table_of, token_noise
from lmprep.checks.laws.parted import without_end
from lmprep.checks.laws.positions import UniformPositions, tenth_of
from lmprep.checks.laws.random_tokens import RandomTokens
from lmprep.checks.laws.rows import equal_law
from lmprep.checks.laws.twins import SEED, Twins, table
from lmprep.checks.outcomes import RowLaw, statistical
from lmprep.checks.record import Batch, Check, Contract, Observer
from lmprep.checks.row_arrays import any_in_rows, place_in_row, row_of
from lmprep.checks.statistics import at_most_as_rare, chi_square
from lmprep.ragged import Ragged
from lmprep.settings import decimal

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

_RANDOM_SHARE = Fraction(1, 10)


def sizes(length: int, settings: Any) -> tuple[int, int]:
    """Tokens in inputs and labels of a row of so many raw tokens."""
    return length + 1, length + 1


def sound(contract: Contract) -> Sequence[RowLaw]:
    """Inputs and labels are equally long."""
    return [equal_law("inputs and labels", ("input_ids", "labels"))]


def uncovered(batch: Batch) -> Undone:
    """The labels; noise is what the inputs have otherwise."""
    original, inputs = without_end(batch, "labels"), without_end(batch, "input_ids")
    return Undone(original, inputs.values != original.values)


class NoisePositions:
    """Noise tokens are uniform over the raw tokens of a row.

    Args:
        undo: the rows' noise.
        longest: raw tokens of a row at most.
    """

    def __init__(self, undo: Callable[[Batch], Undone], longest: int) -> None:
        self._undo = undo
        self._test = UniformPositions("positions uniform", longest)

    def see(self, batch: Batch) -> None:
        undone = batch.once(self._undo)
        ranks = place_in_row(undone.original)[undone.noise]
        self._test.add(ranks, undone.counts, undone.original.lengths)

    def check(self) -> Check:
        return self._test.check()


# --- Hidden tokens. ------------------------------------------------------------------------------


def mass_laws() -> Sequence[Observer]:
    """Every token that is not as it was is the first sentinel."""

    def broken(batch: Batch) -> Flags:
        undone, inputs = batch.once(uncovered), without_end(batch, "input_ids")
        other = undone.noise & (inputs.values != batch.contract.vocabulary.sentinels[0])
        return any_in_rows(other, inputs.offsets)

    return [RowLaw("hidden tokens", "under the first sentinel", broken)]


def bert_laws(contract: Contract, longest: int) -> Sequence[Observer]:
    """Nine in ten hidden tokens are the first sentinel, the others random."""
    density = contract.settings.density
    wanted = table_of(lambda length: token_noise(length, density), longest)

    def special(batch: Batch) -> Flags:
        undone, inputs = batch.once(uncovered), without_end(batch, "input_ids")
        allowed = contract.in_pool[inputs.values]
        allowed = allowed | (inputs.values == contract.vocabulary.sentinels[0])
        return any_in_rows(undone.noise & ~allowed, inputs.offsets)

    def too_many(batch: Batch) -> Flags:
        lengths = np.minimum(batch.original.lengths, longest)
        more: Flags = batch.once(uncovered).counts > wanted[lengths]
        return more

    return [
        RowLaw("hidden tokens", "the first sentinel or an ordinary token", special),
        RowLaw("noise", f"{decimal(density)} of the raw tokens at most", too_many),
        BertTreatment(contract, wanted),
        UnseenNoise(contract, wanted),
        RandomTokens(contract, _random_pairs),
        NoisePositions(uncovered, longest),
    ]


def _random_pairs(batch: Batch) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Random tokens, and those that stood there."""
    undone, inputs = batch.once(uncovered), without_end(batch, "input_ids").values
    random = undone.noise & (inputs != batch.contract.vocabulary.sentinels[0])
    return inputs[random], undone.original.values[random]


class BertTreatment:
    """Of the tokens to be hidden, nine in ten are under the first sentinel."""

    def __init__(self, contract: Contract, wanted: Places) -> None:
        self._mask, self._wanted = contract.vocabulary.sentinels[0], wanted
        self._masked = self._total = 0

    def see(self, batch: Batch) -> None:
        lengths = np.minimum(batch.original.lengths, len(self._wanted) - 1)
        self._total += int(self._wanted[lengths].sum())
        self._masked += int(np.sum(batch.flat("input_ids") == self._mask))

    def check(self) -> Check:
        random = float(_RANDOM_SHARE)
        counts = [self._masked, self._total - self._masked]
        return statistical(
            "treatment",
            f"{1 - random:.2%} under the sentinel",
            f"{self._masked / max(1, self._total):.2%}",
            "chi-square",
            chi_square(counts, [(1 - random) * self._total, random * self._total]),
        )


class UnseenNoise:
    """Fewer tokens than should be are seen to be hidden only where a random one is the original."""

    def __init__(self, contract: Contract, wanted: Places) -> None:
        self._wanted, self._in_pool = wanted, contract.in_pool
        self._missing, self._mean = 0, 0.0

    def see(self, batch: Batch) -> None:
        undone = batch.once(uncovered)
        lengths = np.minimum(undone.original.lengths, len(self._wanted) - 1)
        wanted = self._wanted[lengths]
        self._missing += int(np.sum(wanted - undone.counts))
        self._mean += float(_RANDOM_SHARE) * float(wanted.sum()) / int(self._in_pool.sum())

    def check(self) -> Check:
        return statistical(
            "noise seen",
            f"all but {self._mean:.1f} tokens that are random and as they were",
            f"all but {self._missing}",
            "found",
            at_most_as_rare(self._missing, self._mean),
        )


# --- Shuffled tokens. ----------------------------------------------------------------------------


def shuffled_sound(contract: Contract) -> Sequence[RowLaw]:
    """Inputs hold the tokens of the labels, so that their places can be compared."""
    return [*sound(contract), RowLaw("same tokens", "in inputs and labels", _other_tokens)]


def _other_tokens(batch: Batch) -> Flags:
    parts = [without_end(batch, name) for name in ("input_ids", "labels")]
    row = row_of(parts[0])
    first, second = (part.values[np.lexsort((part.values, row))] for part in parts)
    return any_in_rows(first != second, parts[0].offsets)


def log_orders(batch: Batch) -> NDArray[np.float64]:
    """The logarithm of how many orders at least, as if half of the tokens were alike, [N]."""
    halves = np.array([lgamma(n // 2 + 1) for n in range(int(batch.original.lengths.max()) + 1)])
    orders: NDArray[np.float64] = halves[batch.original.lengths]
    return orders


class Orders:
    """How far tokens move, and whether neighbours stay neighbours: as in a twin shuffled anew."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(SEED)
        moved = (f"tokens moved by tenth {tenth}" for tenth in range(1, 11))
        self._test = Twins(
            "order", "as drawn anew", (*moved, "neighbours in order", "neighbours turned round")
        )

    def see(self, batch: Batch) -> None:
        original, shuffled = batch.original, without_end(batch, "input_ids")
        row = row_of(original)
        order = np.argsort(row + self._random.random(len(row)))  # rows stay together
        drawn = original.values[order]
        found = _order_figures(original, shuffled.values)
        self._test.add(found, _order_figures(original, drawn))

    def check(self) -> Check:
        return self._test.check()


def _order_figures(original: Ragged, shuffled: NDArray[np.int32]) -> NDArray[np.float64]:
    """How far the tokens that occur once in their row have moved, float64 [N, 12]."""
    row, lengths = row_of(original), original.lengths
    once, to = _places_of_unique(original, shuffled)
    here = place_in_row(original)[once]
    of = row[once]
    moved = (to - here) % lengths[of]
    step = np.where(of[1:] == of[:-1], to[1:] - to[:-1], 0)
    next_to = here[1:] - here[:-1] == 1
    return np.hstack(
        [
            table(of, tenth_of(moved, lengths[of]), len(original), 10),
            np.bincount(of[1:][next_to & (step == 1)], minlength=len(original))[:, None],
            np.bincount(of[1:][next_to & (step == -1)], minlength=len(original))[:, None],
        ]
    )


def _places_of_unique(original: Ragged, shuffled: NDArray[np.int32]) -> tuple[Places, Places]:
    """The tokens that occur once in their row, as indices, and their places when shuffled."""
    key = (row_of(original) << 32) + original.values
    order = np.argsort(key, kind="stable")
    same = np.append(False, key[order][1:] == key[order][:-1])
    alone = order[~same & ~np.append(same[1:], False)]
    other = (row_of(original) << 32) + shuffled
    others = np.argsort(other, kind="stable")
    places = others[np.searchsorted(other[others], key[alone])]
    rising = np.argsort(alone)
    return alone[rising], place_in_row(original)[places[rising]]
