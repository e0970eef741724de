"""What is checked of T5's objectives: one table of noises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws import hidden, parted
from lmprep.checks.laws.copies import log_choices
from lmprep.checks.laws.noise import (
    Undone,
    exact_law,
    full_length,
    span_noise,
    spans_of,
    table_of,
    token_noise,
)
from lmprep.checks.laws.rows import length_law, vocabulary_law
from lmprep.checks.laws.sentinels import end_laws, sentinel_law, spliced
from lmprep.checks.laws.span_noise import SpanLengths, SpanPlaces
from lmprep.checks.laws.streams import window_laws
from lmprep.checks.outcomes import RowLaw
from lmprep.checks.record import Batch, Contract, Law, Observer, Subject
from lmprep.checks.row_arrays import in_rows
from lmprep.ragged import Ragged
from lmprep.settings import decimal

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What is checked of one row of the table.

    Args:
        sizes: (raw tokens, settings) -> tokens in inputs and labels at most.
        undo: (batch) -> raw tokens and noise, of sound rows.
        sound, laws: as in `record.Subject`, beside those of all noises.
        columns: stored beside inputs and labels.
    """

    sizes: Callable[[int, Any], tuple[int, int]]
    undo: Callable[[Batch], Undone]
    sound: Callable[[Contract], Sequence[Law]]
    laws: Callable[[Contract], Sequence[Observer]]


def _full(contract: Contract) -> int:
    """Raw tokens of a full row."""
    noise, settings = NOISES[contract.settings.noise], contract.settings
    return full_length(lambda n: noise.sizes(n, settings), contract.length, settings.density)


def _noise_law(contract: Contract, count: Callable[[int, Fraction], int]) -> RowLaw:
    density, undo = contract.settings.density, NOISES[contract.settings.noise].undo
    table = table_of(lambda length: count(length, density), _full(contract))
    return exact_law(
        "noise", f"{decimal(density)} of the raw tokens", lambda b: b.once(undo).counts, table
    )


# --- Spans with sentinels. -----------------------------------------------------------------------


def _span_counts(length: int, settings: Any) -> tuple[int, int]:
    noise = span_noise(length, settings.density)
    return noise, spans_of(length, noise, settings.mean_span_length)


def _span_sizes(length: int, settings: Any) -> tuple[int, int]:
    noise, spans = _span_counts(length, settings)
    return length - noise + spans + 1, noise + spans + settings.final_sentinel + 1


def _spliced(batch: Batch) -> Undone:
    return spliced(batch)


def _runs(batch: Batch) -> Places:
    """Runs of noise in each row."""
    undone = batch.once(_spliced)
    return in_rows(undone.starts, undone.original.offsets)


def _random_span_laws(contract: Contract) -> Sequence[Observer]:
    settings = contract.settings
    spans = table_of(lambda length: _span_counts(length, settings)[1], _full(contract))

    def undo(batch: Batch) -> Undone:
        return batch.once(_spliced)

    def every(batch: Batch) -> Flags:
        return np.ones(len(batch), np.bool_)

    return [
        _noise_law(contract, span_noise),
        exact_law("spans", f"one for {settings.mean_span_length} tokens of noise", _runs, spans),
        SpanLengths(undo, every),
        SpanPlaces(undo, every),
    ]


def _replaced_sizes(length: int, settings: Any) -> tuple[int, int]:
    noise = token_noise(length, settings.density)
    runs = min(noise, length - noise + 1)
    return length + 1, noise + runs + settings.final_sentinel + 1


def _replaced_laws(contract: Contract) -> Sequence[Observer]:
    most = len(contract.vocabulary.sentinels) - contract.settings.final_sentinel
    density = contract.settings.density
    table = table_of(lambda length: token_noise(length, density), _full(contract))

    def broken(batch: Batch) -> Flags:
        """Fewer than k tokens are noise only where the sentinels are used up."""
        wanted = table[np.minimum(batch.original.lengths, len(table) - 1)]
        found = batch.once(_spliced).counts
        short: Flags = (found < wanted) & (_runs(batch) < most)
        return (found > wanted) | short

    return [
        RowLaw("noise", f"{decimal(density)} of the raw tokens, while there are sentinels", broken),
        hidden.NoisePositions(_spliced, _full(contract)),
    ]


NOISES: dict[str, Noise] = {
    "random-spans": Noise(
        sizes=_span_sizes,
        undo=_spliced,
        sound=lambda contract: [sentinel_law(final=contract.settings.final_sentinel)],
        laws=_random_span_laws,
    ),
    "replace-spans": Noise(
        sizes=_replaced_sizes,
        undo=_spliced,
        sound=lambda contract: [sentinel_law(final=contract.settings.final_sentinel)],
        laws=_replaced_laws,
    ),
    "drop-tokens": Noise(
        sizes=parted.dropped_sizes,
        undo=parted.merged,
        sound=parted.dropped_sound,
        laws=lambda contract: [
            _noise_law(contract, token_noise),
            hidden.NoisePositions(parted.merged, _full(contract)),
        ],
    ),
    "bert-style": Noise(
        sizes=hidden.sizes,
        undo=hidden.uncovered,
        sound=hidden.sound,
        laws=lambda contract: hidden.bert_laws(contract, _full(contract)),
    ),
    "mass": Noise(
        sizes=hidden.sizes,
        undo=hidden.uncovered,
        sound=hidden.sound,
        laws=lambda contract: [
            *hidden.mass_laws(),
            _noise_law(contract, token_noise),
            hidden.NoisePositions(hidden.uncovered, _full(contract)),
        ],
    ),
    "deshuffle": Noise(
        sizes=hidden.sizes,
        undo=hidden.uncovered,
        sound=hidden.shuffled_sound,
        laws=lambda contract: [hidden.Orders()],
    ),
    "prefix-lm": Noise(
        sizes=parted.prefix_sizes,
        undo=parted.joined,
        sound=lambda contract: [],
        laws=lambda contract: parted.prefix_laws(contract, _full(contract)),
    ),
}


def _columns(contract: Contract) -> dict[str, str]:
    columns = {"input_ids": "ids", "labels": "ids"}
    dropped = contract.settings.noise == "drop-tokens"
    return {**columns, "noise_positions": "positions"} if dropped else columns


def _undo(batch: Batch) -> Ragged:
    return batch.once(NOISES[batch.contract.settings.noise].undo).original


def _sound(contract: Contract) -> Sequence[Law]:
    return [
        length_law(1, contract.length),
        vocabulary_law("ids", "input_ids", contract),
        vocabulary_law("labels", "labels", contract),
        *end_laws(contract),
        *NOISES[contract.settings.noise].sound(contract),
        RowLaw("raw tokens", "at least one", lambda batch: batch.original.lengths < 1),
    ]


def _laws(contract: Contract) -> Sequence[Observer]:
    full = _full(contract)
    return [
        *NOISES[contract.settings.noise].laws(contract),
        *window_laws(contract, lambda batch: np.full(len(batch), full)),
    ]


def _ways(batch: Batch) -> NDArray[np.float64]:
    """At least the ways to place the runs of noise, or what there is to draw instead."""
    noise, lengths = batch.contract.settings.noise, batch.original.lengths
    if noise == "prefix-lm":
        longest = int(lengths.max(initial=1))
        ways: NDArray[np.float64] = np.log(parted.prefix_range(batch.contract, longest)[2][lengths])
        return ways
    if noise == "deshuffle":
        return hidden.log_orders(batch)
    undone = batch.once(NOISES[noise].undo)
    return log_choices(lengths, in_rows(undone.starts, undone.original.offsets))


T5 = Subject(
    frame="bare",
    columns=_columns,
    undo=_undo,
    scored=lambda batch: len(batch.flat("labels")),
    sound=_sound,
    laws=_laws,
    redrawn=("input_ids", "labels", "noise_positions"),
    ways=_ways,
)
