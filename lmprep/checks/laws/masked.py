"""What is checked of the masked objectives: mlm, whole-word, ngram, span and infoword."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.copies import log_choices
from lmprep.checks.laws.labels import label_laws
from lmprep.checks.laws.masking import (
    MASKED_COLUMNS,
    Treatment,
    Units,
    WholeReplacement,
    each_token,
    masked_sound,
    one_treatment_law,
    predicted,
    predicted_flags,
    put_back,
    replacement_law,
    replacements,
    special_law,
)
from lmprep.checks.laws.random_tokens import RandomTokens
from lmprep.checks.laws.runs import Runs, geometric, reciprocal
from lmprep.checks.laws.spans import (
    SPAN_COLUMNS,
    NgramLengths,
    NgramPlaces,
    apart_law,
    in_ngram,
    merged_span_sound,
    ngram_laws,
    outside_ngram,
    span_sound,
    span_units,
)
from lmprep.checks.laws.tokens import Positions, count_law, maskable
from lmprep.checks.laws.words import WORD_COLUMNS, Words, word_laws, word_sound, word_units
from lmprep.checks.record import Batch, Contract, Observer, Subject
from lmprep.checks.row_arrays import in_rows

_REDRAWN = tuple(MASKED_COLUMNS)
_WITH_WORDS = {**MASKED_COLUMNS, **WORD_COLUMNS}
_WITH_SPANS = {**_WITH_WORDS, **SPAN_COLUMNS}


def _common(contract: Contract) -> list[Observer]:
    """What the rows of every masked objective must obey."""
    return [
        special_law(),
        replacement_law(),
        RandomTokens(contract, replacements),
        *label_laws(contract),
    ]


def _token_laws(contract: Contract) -> Sequence[Observer]:
    return [
        *_common(contract),
        count_law(contract, maskable),
        Treatment(contract, each_token),
        Positions(contract, maskable),
    ]


def _run_laws(
    units: Units, unit: str, runs: Callable[[Contract], Runs]
) -> Callable[[Contract], Sequence[Observer]]:
    """The laws of words chosen in runs, treated by `unit`."""
    return lambda contract: [
        *_common(contract),
        *word_laws(contract),
        one_treatment_law(units, unit),
        Treatment(contract, units),
        WholeReplacement(contract, units, unit),
        runs(contract),
    ]


def _span_laws(contract: Contract) -> Sequence[Observer]:
    def runs(contract: Contract) -> Runs:
        settings = contract.settings
        return Runs(contract, geometric(settings.span_p, settings.span_max), through=True)

    return [apart_law(), *_run_laws(span_units, "span", runs)(contract)]


def _infoword_laws(contract: Contract) -> Sequence[Observer]:
    return [
        *_common(contract),
        *ngram_laws(contract),
        count_law(contract, outside_ngram),
        Treatment(contract, each_token, left_out=in_ngram),
        Positions(contract, outside_ngram),
        NgramLengths(contract),
        NgramPlaces(contract),
    ]


def _ways(batch: Batch) -> NDArray[np.float64]:
    """At least the ways to place so many runs of chosen tokens among the row's words or tokens."""
    flags, offsets = predicted_flags(batch), batch.ids.offsets
    things = in_rows(maskable(batch), offsets)
    if "word_start" in batch.columns:
        things = np.diff(Words.of(batch).offsets)
    return log_choices(things, in_rows(flags & ~np.append(False, flags[:-1]), offsets))


MLM = Subject(
    frame="template",
    columns=lambda contract: MASKED_COLUMNS,
    undo=put_back,
    scored=predicted,
    sound=masked_sound,
    laws=_token_laws,
    redrawn=_REDRAWN,
    ways=_ways,
)

WHOLE_WORD = Subject(
    frame="template",
    columns=lambda contract: _WITH_WORDS,
    undo=put_back,
    scored=predicted,
    sound=lambda contract: [*masked_sound(contract), *word_sound()],
    laws=_run_laws(word_units, "word", lambda c: Runs(c, reciprocal(1), through=False)),
    redrawn=_REDRAWN,
    ways=_ways,
)

NGRAM = Subject(
    frame="template",
    columns=lambda contract: _WITH_WORDS,
    undo=put_back,
    scored=predicted,
    sound=lambda contract: [*masked_sound(contract), *word_sound()],
    laws=_run_laws(
        word_units, "word", lambda c: Runs(c, reciprocal(c.settings.ngram_max), through=False)
    ),
    redrawn=_REDRAWN,
    ways=_ways,
)

SPAN = Subject(
    frame="template",
    columns=lambda contract: _WITH_SPANS,
    undo=put_back,
    scored=predicted,
    sound=lambda contract: [*masked_sound(contract), *word_sound(), *merged_span_sound()],
    laws=_span_laws,
    redrawn=(*_REDRAWN, *SPAN_COLUMNS),
    ways=_ways,
)

INFOWORD = Subject(
    frame="template",
    columns=lambda contract: _WITH_SPANS,
    undo=put_back,
    scored=predicted,
    sound=lambda contract: [*masked_sound(contract), *word_sound(), *span_sound()],
    laws=_infoword_laws,
    redrawn=(*_REDRAWN, *SPAN_COLUMNS),
    ways=_ways,
)
