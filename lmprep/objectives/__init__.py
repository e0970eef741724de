"""Objectives: what is hidden from a sequence, and what is to be predicted.

An objective is a pure function over a batch of sequences. `OBJECTIVES` is the whole table: which
exist, what undoes them, and what they need. What each takes from a user is in
`lmprep.objective_settings.FORMS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Sequences, ragged
from lmprep.keyed_random import Keys
from lmprep.objective_settings import FORMS
from lmprep.objectives import mlm
from lmprep.settings import SequenceSettings, settings_from
from lmprep.vocabulary import Vocabulary

RawLengths = tuple[NDArray[np.int64], NDArray[np.int8] | None]
"""How many raw tokens each window may hold, int64 [rows], and its denoiser (ul2), int8 [rows]."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One row of the table.

    Args:
        corrupt: (sequences, settings, vocabulary, keys) -> columns; row i draws only from
            keys[i]. The columns hold what the objective stores itself, without
            `Sequences.provenance`.
        restore: (columns, settings, vocabulary) -> sequences, the way back; None where too little
            is kept.
        needs: roles of the vocabulary it cannot do without.
        frame: how its sequences are laid out, one of `batches.FRAMES`.
        scored: (columns) -> how many tokens are to be predicted.
        raw_lengths: (settings, vocabulary, length, key, rows) -> `RawLengths`, for the windows of
            frame `bare`; None where a window holds `length` tokens.

            Raises:
                ValueError: no window fits the length, or there are too few sentinels; says what
                    would do.
        draws: whether `corrupt` draws anything: whether one copy differs from the next.
    """

    corrupt: Callable[[Sequences, Any, Vocabulary, Keys], Columns]
    restore: Callable[[Columns, Any, Vocabulary], Sequences] | None
    needs: tuple[str, ...]
    frame: str
    scored: Callable[[Columns], int]
    raw_lengths: Callable[[Any, Vocabulary, int, np.uint64, int], RawLengths] | None = None
    draws: bool = True


def _values_in(name: str) -> Callable[[Columns], int]:
    return lambda columns: len(ragged(columns, name).values)


OBJECTIVES: dict[str, Objective] = {
    "mlm": Objective(
        corrupt=mlm.corrupt,
        restore=mlm.restore,
        needs=("cls", "sep", "mask"),
        frame="template",
        scored=_values_in("masked_labels"),
    ),
}


def stored_objective(manifest: Mapping[str, Any]) -> tuple[Objective, Any]:
    """The objective of a manifest, and the settings it was used with."""
    name = manifest["objective"]
    written = manifest["settings"]["objective_settings"]
    return OBJECTIVES[name], settings_from(FORMS[name].settings, written)


def check_fit(
    objective: str, settings: Any, sequences: SequenceSettings, vocabulary: Vocabulary
) -> None:
    """Raise `ValueError` when objective, sequences and vocabulary do not go together."""
    row, form = OBJECTIVES[objective], FORMS[objective]
    if not isinstance(settings, form.settings):
        raise TypeError(
            f"{objective} takes {form.settings.__name__}, not {type(settings).__name__}"
        )
    if sequences.pairs not in form.pairs:
        raise ValueError(f"{objective} does not take pairs {sequences.pairs}")
    if sequences.pairs == "none" and sequences.sequences not in form.sequences:
        raise ValueError(f"{objective} does not take {sequences.sequences} sequences")
    if vocabulary.family not in form.families:
        raise ValueError(
            f"{objective} needs a vocabulary of family {' or '.join(form.families)}, not "
            f"{vocabulary.family}"
        )
    missing = [role for role in row.needs if getattr(vocabulary, role) is None]
    if missing:
        raise ValueError(
            f"{objective} needs a {missing[0]} token, which a vocabulary of family "
            f"{vocabulary.family} does not have"
        )
    if row.raw_lengths is not None:
        row.raw_lengths(settings, vocabulary, sequences.length, np.uint64(0), 1)
