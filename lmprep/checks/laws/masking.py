"""Laws of masked objectives: what became of the chosen tokens, unit by unit.

A unit is what one treatment is drawn for: a token (mlm), a word (whole-word, ngram), a merged span
(span).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.frames import template_places
from lmprep.checks.laws.rows import equal_law, frame_sound, length_law, rising_law, vocabulary_law
from lmprep.checks.outcomes import RowLaw, statistical
from lmprep.checks.record import Batch, Check, Contract, Law
from lmprep.checks.row_arrays import any_in_rows
from lmprep.checks.statistics import at_most_as_rare, chi_square
from lmprep.ragged import Ragged

Flags = NDArray[np.bool_]
Units = Callable[[Batch], NDArray[np.int64]]
"""(batch) -> where among its predicted tokens each unit begins: int64 [U], rising from 0."""

MASKED_COLUMNS = {"input_ids": "ids", "masked_positions": "positions", "masked_labels": "ids"}


def masked_sound(contract: Contract) -> list[Law]:
    """What every masked objective's rows must be like."""
    return [
        length_law(3, contract.length),
        vocabulary_law("ids", "input_ids", contract),
        vocabulary_law("labels", "masked_labels", contract),
        equal_law("labels and positions", ("masked_positions", "masked_labels")),
        rising_law("positions", "masked_positions", "rising, within the row"),
        *frame_sound(contract),
    ]


def put_back(batch: Batch) -> Ragged:
    """The ids before corruption: labels at their positions."""
    ids = batch.flat("input_ids").copy()
    ids[batch.places("masked_positions")] = batch.flat("masked_labels")
    return Ragged(ids, batch.ids.offsets)


def predicted(batch: Batch) -> int:
    """How many tokens are to be predicted."""
    return len(batch.flat("masked_labels"))


def special_law() -> RowLaw:
    """Special tokens are never predicted; the unknown token may be."""

    def broken(batch: Batch) -> Flags:
        special = ~batch.contract.vocabulary.maskable[batch.flat("masked_labels")]
        special |= template_places(batch)[batch.places("masked_positions")]
        return any_in_rows(special, batch.lists("masked_positions").offsets)

    return RowLaw("special tokens", "never predicted", broken)


def replacement_law() -> RowLaw:
    """Random replacements are ordinary tokens."""

    def broken(batch: Batch) -> Flags:
        special = replaced(batch) & ~batch.contract.in_pool[found(batch)]
        return any_in_rows(special, batch.lists("masked_positions").offsets)

    return RowLaw("random tokens", "never special", broken)


def predicted_flags(batch: Batch) -> Flags:
    """Which tokens of the batch are predicted, bool [T]."""
    return batch.once(_predicted_flags)


def _predicted_flags(batch: Batch) -> Flags:
    flags = np.zeros(len(batch.ids.values), np.bool_)
    flags[batch.places("masked_positions")] = True
    return flags


def found(batch: Batch) -> NDArray[np.int32]:
    """What stands where a token is predicted, int32 [K]."""
    return batch.flat("input_ids")[batch.places("masked_positions")]


def replaced(batch: Batch) -> Flags:
    """Which predicted tokens were replaced by another than the mask, bool [K]."""
    here = found(batch)
    other: Flags = (here != batch.flat("masked_labels")) & (here != batch.contract.mask)
    return other


def each_token(batch: Batch) -> NDArray[np.int64]:
    """Every predicted token is a unit."""
    return np.arange(len(batch.flat("masked_labels")))


def one_treatment_law(units: Units, name: str) -> RowLaw:
    """The tokens of a unit are all masked, or none of them is."""

    def broken(batch: Batch) -> Flags:
        starts = units(batch)
        masked = found(batch) == batch.contract.mask
        mixed = _any(masked, starts) & _any(~masked, starts)
        flags = np.zeros(len(masked), np.bool_)
        flags[starts[mixed]] = True
        return any_in_rows(flags, batch.lists("masked_positions").offsets)

    return RowLaw("one treatment", f"for each {name}", broken)


def _any(flags: Flags, starts: NDArray[np.int64]) -> Flags:
    """Whether a unit has a flag that is set, bool [U]."""
    return np.logical_or.reduceat(flags, starts) if len(starts) else np.zeros(0, np.bool_)


class WholeReplacement:
    """Where one token of a unit is random, all are: few equal the original, by chance.

    A random token is the original in one of V cases; so many units of several tokens, of which one
    differs, may hold one that does not.
    """

    def __init__(self, contract: Contract, units: Units, name: str) -> None:
        self._units, self._name = units, name
        self._in_pool = contract.in_pool
        self._replaced = self._alike = self._drawable = 0

    def see(self, batch: Batch) -> None:
        starts, other = self._units(batch), replaced(batch)
        sizes = np.diff(starts, append=len(other))
        random = np.repeat(_any(other, starts) & (sizes > 1), sizes)
        self._replaced += int(random.sum())
        self._alike += int(np.sum(random & ~other))
        self._drawable += int(self._in_pool[batch.flat("masked_labels")[random]].sum())

    def check(self) -> Check:
        mean = self._drawable / int(self._in_pool.sum())
        return statistical(
            "random throughout",
            f"{mean:.1f} tokens as they were in a random {self._name}",
            f"{self._alike} of {self._replaced}",
            "found",
            at_most_as_rare(self._alike, mean),
        )


class Treatment:
    """Mask, random or kept, by unit: chi-square with two degrees of freedom.

    A random token equals the original in one of V cases (V tokens it is drawn from), if the
    original is among them; a unit looks kept where all its tokens do.

    Args:
        left_out: tells which predicted tokens are treated by another law, bool [K].
    """

    def __init__(
        self, contract: Contract, units: Units, left_out: Callable[[Batch], Flags] | None = None
    ) -> None:
        self._contract, self._units, self._left_out = contract, units, left_out
        self._counts = np.zeros(3, np.int64)
        self._hits = 0.0  # units that a random draw would leave as they are, by their chance

    def see(self, batch: Batch) -> None:
        starts = self._units(batch)
        masked = _any(found(batch) == self._contract.mask, starts)
        random = _any(replaced(batch), starts) & ~masked
        labels = batch.flat("masked_labels")
        drawable = ~_any(~self._contract.in_pool[labels], starts)
        sizes = np.diff(starts, append=len(labels))
        if self._left_out is not None:
            counted = ~self._left_out(batch)[starts]
            masked, random, drawable = masked & counted, random & counted, drawable & counted
            self._counts[2] -= int(np.sum(~counted))
        self._counts += [int(masked.sum()), int(random.sum()), int(np.sum(~masked & ~random))]
        tokens = float(self._contract.in_pool.sum())
        self._hits += float(np.sum(tokens ** -sizes[drawable].astype(np.float64)))

    def check(self) -> Check:
        settings, total = self._contract.settings, int(self._counts.sum())
        mask, random = float(settings.mask_share), float(settings.random_share)
        hits = random * self._hits
        expected = np.array([mask * total, random * total - hits, 0.0])
        expected[2] = total - expected.sum()
        expected[np.abs(expected) < 1e-6 * total] = 0  # shares that are 0, but for rounding
        return statistical(
            "treatment",
            _shares(expected),
            _shares(self._counts),
            "chi-square",
            chi_square(self._counts, expected),
        )


def _shares(counts: NDArray[np.generic]) -> str:
    masked, other, kept = 100 * counts / max(1, counts.sum())
    return f"{masked:.2f} % mask, {other:.2f} % random, {kept:.2f} % kept"


def replacements(batch: Batch) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Random replacements that can be seen, and the tokens that stood there, int32 [R] each."""
    other = replaced(batch)
    return found(batch)[other], batch.flat("masked_labels")[other]
