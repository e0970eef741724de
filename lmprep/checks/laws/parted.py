"""Rows parted in two without a mark: drop-tokens, which says what stood where, and prefix-lm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.noise import Undone, token_noise
from lmprep.checks.laws.positions import UniformPositions
from lmprep.checks.laws.rows import rising_law
from lmprep.checks.outcomes import RowLaw
from lmprep.checks.record import Batch, Check, Contract, Observer
from lmprep.ragged import Ragged, offsets_of
from lmprep.settings import decimal

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


def without_end(batch: Batch, name: str) -> Ragged:
    """A column less the token that closes each of its rows."""
    column = batch.lists(name)
    stays = np.ones(len(column.values), np.bool_)
    stays[column.offsets[1:] - 1] = False
    return Ragged(batch.flat(name)[stays], offsets_of(column.lengths - 1))


# --- Dropped tokens. -----------------------------------------------------------------------------


def dropped_sizes(length: int, settings: Any) -> tuple[int, int]:
    """Tokens in inputs and labels of a row of so many raw tokens."""
    noise = token_noise(length, settings.density)
    return length - noise + 1, noise + 1


def dropped_sound(contract: Contract) -> Sequence[RowLaw]:
    """What was dropped must say where it stood before it can be put back."""
    return [
        RowLaw("labels and positions", "equally many", _counts_differ),
        rising_law(
            "positions", "noise_positions", "rising, within the raw tokens", within=_raw_lengths
        ),
    ]


def _raw_lengths(batch: Batch) -> Places:
    lengths: Places = batch.ids.lengths + batch.lists("labels").lengths - 2
    return lengths


def _counts_differ(batch: Batch) -> Flags:
    differ: Flags = batch.lists("labels").lengths - 1 != batch.lists("noise_positions").lengths
    return differ


def merged(batch: Batch) -> Undone:
    """The labels at their positions, the inputs at the others."""
    offsets = offsets_of(_raw_lengths(batch))
    positions = batch.lists("noise_positions")
    noise = np.zeros(offsets[-1], np.bool_)
    noise[np.repeat(offsets[:-1], positions.lengths) + positions.values] = True
    tokens = np.empty(len(noise), np.int32)
    tokens[noise] = without_end(batch, "labels").values
    tokens[~noise] = without_end(batch, "input_ids").values
    return Undone(Ragged(tokens, offsets), noise)


# --- Prefix and rest. ----------------------------------------------------------------------------


def prefix_bounds(length: int, settings: Any) -> tuple[int, int]:
    """The fewest and the most tokens in the prefix of a row of so many."""
    places, density = max(0, length - 1), settings.density
    least = min(1, places)
    return (
        max(least, round(max(0, 1 - 2 * density) * places)),
        max(least, round(min(1, 2 - 2 * density) * places)),
    )


def prefix_sizes(length: int, settings: Any) -> tuple[int, int]:
    """Tokens in inputs and labels of a row of so many raw tokens at most."""
    shortest, longest = prefix_bounds(length, settings)
    return longest + 1, length - shortest + 1


def joined(batch: Batch) -> Undone:
    """The labels behind the inputs."""
    parts = [without_end(batch, name) for name in ("input_ids", "labels")]
    offsets = offsets_of(_raw_lengths(batch))
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
    noise: Flags = place >= np.repeat(parts[0].lengths, np.diff(offsets))
    tokens = np.empty(len(noise), np.int32)
    tokens[~noise], tokens[noise] = parts[0].values, parts[1].values
    return Undone(Ragged(tokens, offsets), noise)


def prefix_range(contract: Contract, longest: int) -> Places:
    """The fewest and the most tokens in the prefix, and how many ways that makes, by length:
    int64 [3, longest + 1]."""
    bounds = [prefix_bounds(length, contract.settings) for length in range(longest + 1)]
    fewest, most = np.array(bounds).T
    return np.stack([fewest, most, most - fewest + 1])


def prefix_laws(contract: Contract, longest: int) -> Sequence[Observer]:
    """The prefix's length lies where it must, every length equally often."""
    fewest, most, _ = prefix_range(contract, longest)

    def broken(batch: Batch) -> Flags:
        lengths = np.minimum(batch.original.lengths, longest)
        prefix = batch.ids.lengths - 1
        outside: Flags = (prefix < fewest[lengths]) | (prefix > most[lengths])
        return outside

    density = decimal(contract.settings.density)
    return [
        RowLaw("prefix", f"leaves {density} to be predicted, on average", broken),
        PrefixLengths(contract, longest),
    ]


class PrefixLengths:
    """The length of the prefix is uniform between the fewest and the most."""

    def __init__(self, contract: Contract, longest: int) -> None:
        self._fewest, _, self._ways = prefix_range(contract, longest)
        self._test = UniformPositions("prefix lengths uniform", longest + 1)

    def see(self, batch: Batch) -> None:
        lengths = np.minimum(batch.original.lengths, len(self._ways) - 1)
        ranks = batch.ids.lengths - 1 - self._fewest[lengths]
        self._test.add(ranks, np.ones(len(batch), np.int64), self._ways[lengths])

    def check(self) -> Check:
        return self._test.check()
