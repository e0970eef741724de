"""How many tokens BART's noise takes and adds, as far as it follows from the row."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.noise import table_of
from lmprep.checks.laws.remains import remains
from lmprep.checks.outcomes import RowLaw
from lmprep.checks.record import Batch, Contract, Observer
from lmprep.checks.row_arrays import in_rows
from lmprep.settings import decimal

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


def share_of(length: int, rate: Fraction) -> int:
    """Tokens of a row that a rate asks for: none at 0, else at least one."""
    return max(1, round(length * rate)) if rate else 0


def count_laws(contract: Contract, full: int) -> Sequence[Observer]:
    """How many tokens are lost and added, as far as it follows from the row."""
    settings = contract.settings
    masked, deleted, inserted = (
        table_of(lambda n, rate=rate: share_of(n, rate), full)  # type: ignore[misc]
        for rate in (settings.mask_rate, settings.delete_rate, settings.insert_rate)
    )

    def lengths_of(batch: Batch) -> Places:
        return np.minimum(batch.original.lengths, full)

    def lost_wrong(batch: Batch) -> Flags:
        n = lengths_of(batch)
        expected = np.minimum(n, masked[n] + deleted[n])
        wrong: Flags = batch.lists("noise_positions").lengths != expected
        return wrong

    def added_wrong(batch: Batch) -> Flags:
        n, rest = lengths_of(batch), remains(batch)
        added = rest.mask_counts + rest.random_counts
        wrong: Flags = added != np.minimum(n, masked[n]) + inserted[n]
        return wrong

    def too_long(batch: Batch) -> Flags:
        n, rest = lengths_of(batch), remains(batch)
        added = rest.mask_counts + rest.random_counts - inserted[n]
        words = in_rows(batch.lists("word_start").values, batch.lists("word_start").offsets)
        longer = rest.inputs.lengths - inserted[n] > n
        wrong: Flags = longer | (added < np.minimum(1, words))
        return wrong

    if not settings.infill_rate:
        return [
            RowLaw("noise", "exact shares of the raw tokens", lost_wrong),
            RowLaw("added tokens", "a mask for each masked, and the inserted", added_wrong),
        ]
    rate = decimal(settings.infill_rate)
    plain = not settings.mask_rate and not settings.delete_rate
    return [
        RowLaw(
            "words hidden",
            f"{rate} of the words{'' if plain else ' at least'}, whole",
            lambda batch: _hidden_wrong(batch, plain),
        ),
        RowLaw("added tokens", "a mask for each span; rows grow by insertion alone", too_long),
    ]


def _hidden_wrong(batch: Batch, plain: bool) -> Flags:
    """Fewer words are lost than infilling takes; where nothing else hides, more, or parts."""
    starts, rest = batch.lists("word_start"), remains(batch)
    word = np.cumsum(starts.values) - 1
    sizes = np.bincount(word)
    lost = np.bincount(word[rest.lost], minlength=len(sizes))
    row = np.searchsorted(starts.offsets, np.flatnonzero(starts.values), side="right") - 1
    words = np.bincount(row, minlength=len(batch))
    whole = np.bincount(row[lost == sizes], minlength=len(batch))
    rate = batch.contract.settings.infill_rate
    most = int(words.max(initial=0))
    wanted = np.array([ceil(rate * count) for count in range(most + 1)])[words]
    if not plain:
        fewer: Flags = whole < wanted
        return fewer
    touched = np.bincount(row[lost > 0], minlength=len(batch))
    wrong: Flags = (whole != wanted) | (touched != whole)
    return wrong
