"""Objectives: what is hidden from a sequence, and what is to be predicted.

An objective is a pure function over a batch of sequences. `OBJECTIVES` is the whole table: which
exist, what undoes them, and which sequences each takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lmprep.batches import Columns, Sequences
from lmprep.objectives import mlm
from lmprep.settings import MlmSettings, SequenceSettings, Settings
from lmprep.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One row of the table.

    Args:
        corrupt: (sequences, settings, vocabulary, keys) -> columns.
        restore: (columns, vocabulary) -> sequences, the way back.
        settings: the class of its settings.
        needs: roles of the vocabulary it cannot do without.
        sequences, pairs: the sequences it takes.
        scored: the column that holds one value for each scored token.
    """

    corrupt: Callable[..., Columns]
    restore: Callable[[Columns, Vocabulary], Sequences]
    settings: type[Settings]
    needs: tuple[str, ...]
    sequences: tuple[str, ...]
    pairs: tuple[str, ...]
    scored: str


OBJECTIVES: dict[str, Objective] = {
    "mlm": Objective(
        corrupt=mlm.corrupt,
        restore=mlm.restore,
        settings=MlmSettings,
        needs=("cls", "sep", "mask"),
        sequences=("document", "packed"),
        pairs=("none", "nsp", "sop"),
        scored="masked_labels",
    ),
}


def check_fit(
    objective: str, settings: Any, sequences: SequenceSettings, vocabulary: Vocabulary
) -> None:
    """Raise `ValueError` when objective, sequences and vocabulary do not go together."""
    row = OBJECTIVES[objective]
    if not isinstance(settings, row.settings):
        raise TypeError(f"{objective} takes {row.settings.__name__}, not {type(settings).__name__}")
    missing = [role for role in row.needs if getattr(vocabulary, role) is None]
    if missing:
        raise ValueError(
            f"{objective} needs a {missing[0]} token, which a vocabulary of family "
            f"{vocabulary.family} does not have"
        )
    if sequences.pairs not in row.pairs:
        raise ValueError(f"{objective} does not take pairs {sequences.pairs}")
    if sequences.pairs == "none" and sequences.sequences not in row.sequences:
        raise ValueError(f"{objective} does not take {sequences.sequences} sequences")
