"""What is checked of BART: labels are the text; inputs hold what is left of it, and what was added.

What was lost is in `noise_positions`, so what is left is known; tokens of the inputs beyond it are
masks and random tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, lgamma

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.bart_counts import count_laws, share_of
from lmprep.checks.laws.bart_order import order_law
from lmprep.checks.laws.bart_twin import BartTwins
from lmprep.checks.laws.copies import log_choices
from lmprep.checks.laws.noise import full_length
from lmprep.checks.laws.random_tokens import RandomTokens
from lmprep.checks.laws.remains import Remains, remains
from lmprep.checks.laws.rows import length_law, rising_law, vocabulary_law
from lmprep.checks.laws.streams import window_laws
from lmprep.checks.outcomes import RowLaw, statistical
from lmprep.checks.record import Batch, Check, Contract, Law, Observer, Subject
from lmprep.checks.row_arrays import any_in_rows, in_rows
from lmprep.checks.statistics import chi_square

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


def _sound(contract: Contract) -> Sequence[Law]:
    return [
        length_law(2, contract.length),
        vocabulary_law("ids", "input_ids", contract),
        vocabulary_law("labels", "labels", contract),
        RowLaw("end tokens", "<s> and </s> around inputs and labels", _ends_broken),
        RowLaw("word starts", "one for each raw token, the first set", _starts_broken),
        rising_law(
            "sentence starts",
            "sentence_starts",
            "rising, within the raw tokens",
            first=1,
            within=_raw_lengths,
        ),
        rising_law(
            "positions",
            "noise_positions",
            "rising, within the labels",
            first=1,
            within=lambda batch: _raw_lengths(batch) + 1,
        ),
        RowLaw("remains", "every token that is no noise is in the inputs", _missing),
    ]


def _raw_lengths(batch: Batch) -> Places:
    lengths: Places = batch.lists("labels").lengths - 2
    return lengths


def _ends_broken(batch: Batch) -> Flags:
    """Rows lack an end, or labels hold nothing else."""
    broken = _raw_lengths(batch) < 1
    for name in ("input_ids", "labels"):
        column = batch.lists(name)
        values = np.append(column.values, -1)
        broken = broken | (column.lengths < 2)
        broken |= values[column.offsets[:-1]] != batch.contract.cls
        broken |= values[column.offsets[1:] - 1] != batch.contract.sep
    return broken


def _starts_broken(batch: Batch) -> Flags:
    starts = batch.lists("word_start")
    first = np.append(starts.values, False)[starts.offsets[:-1]]
    broken: Flags = (starts.lengths != _raw_lengths(batch)) | ~first
    return broken


def _missing(batch: Batch) -> Flags:
    missing: Flags = remains(batch).missing > 0
    return missing


def _laws(contract: Contract) -> Sequence[Observer]:
    full = _full_length(contract)
    return [
        RowLaw("special tokens", "none in the inputs but masks", _special),
        *_random_laws(contract),
        *count_laws(contract, full),
        order_law(contract),
        BartTwins(contract),
        *window_laws(contract, lambda batch: np.full(len(batch), full)),
    ]


def _full_length(contract: Contract) -> int:
    """Raw tokens of a full row: what is inserted must fit as well."""
    rate = contract.settings.insert_rate
    return full_length(
        lambda n: (n + share_of(n, rate) + 2, n + 2), contract.length, contract.settings.infill_rate
    )


def _special(batch: Batch) -> Flags:
    inputs = remains(batch).inputs
    allowed = batch.contract.vocabulary.maskable[inputs.values]
    return any_in_rows(~allowed & (inputs.values != batch.contract.mask), inputs.offsets)


# --- Random tokens. ------------------------------------------------------------------------------


def _random_laws(contract: Contract) -> Sequence[Observer]:
    settings = contract.settings
    if not settings.random_share and not settings.insert_rate:
        return [RowLaw("random tokens", "none", lambda batch: remains(batch).random_counts > 0)]

    def special(batch: Batch) -> Flags:
        rest = remains(batch)
        ordinary = contract.in_pool[rest.random]
        return np.isin(np.arange(len(batch)), rest.random_rows[~ordinary])

    def alone(batch: Batch) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Random tokens, which stand for none in particular."""
        random = remains(batch).random
        return random, np.full_like(random, contract.mask)

    def not_inserted(batch: Batch) -> Flags:
        inserted = [share_of(n, settings.insert_rate) for n in batch.original.lengths.tolist()]
        other: Flags = remains(batch).random_counts != np.array(inserted)
        return other

    share: Observer = RowLaw("random share", "the inserted tokens alone", not_inserted)
    return [
        RowLaw("random tokens", "never special", special),
        RandomTokens(contract, alone),
        RandomShare(contract) if settings.random_share else share,
    ]


class RandomShare:
    """Of all masks, so many became random tokens, beside those that were inserted."""

    def __init__(self, contract: Contract) -> None:
        self._settings = contract.settings
        self._random = self._masks = 0

    def see(self, batch: Batch) -> None:
        rest = remains(batch)
        inserted = [
            share_of(n, self._settings.insert_rate) for n in batch.original.lengths.tolist()
        ]
        self._random += int(rest.random_counts.sum()) - sum(inserted)
        self._masks += int(rest.mask_counts.sum())

    def check(self) -> Check:
        total, share = self._random + self._masks, float(self._settings.random_share)
        return statistical(
            "random share",
            f"{share:.2%} of {total} masks",
            f"{self._random / max(1, total):.2%}",
            "chi-square",
            chi_square([self._random, self._masks], [share * total, (1 - share) * total]),
        )


def _ways(batch: Batch) -> NDArray[np.float64]:
    """At least the ways to choose so many runs of lost tokens, and to order sentences."""
    rest: Remains = remains(batch)
    offsets = rest.original.offsets
    runs = in_rows(rest.lost & ~np.append(False, rest.lost[:-1]), offsets)
    sentences = batch.lists("sentence_starts").lengths + 1
    rate = batch.contract.settings.permute_rate
    orders = np.array([lgamma(ceil(n * rate) + 1) for n in range(int(sentences.max()) + 1)])
    ways: NDArray[np.float64] = log_choices(rest.original.lengths, runs) + orders[sentences]
    return ways


BART = Subject(
    frame="bare",
    columns=lambda contract: {
        "input_ids": "ids",
        "labels": "ids",
        "word_start": "flags",
        "noise_positions": "positions",
        "sentence_starts": "positions",
    },
    undo=lambda batch: remains(batch).original,
    scored=lambda batch: len(batch.flat("labels")),
    sound=_sound,
    laws=_laws,
    redrawn=("input_ids", "noise_positions"),
    ways=_ways,
)
