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
from lmprep.objective_settings import FORMS
from lmprep.objectives import (
    bart,
    bilm,
    clm,
    cooccurrence,
    infoword,
    mlm,
    ngram,
    skipgram,
    span,
    t5,
    ul2,
    whole_word,
)
from lmprep.objectives.restoring import restore_masked
from lmprep.objectives.whole_rows import keep_whole, restore_whole
from lmprep.settings import SequenceSettings, settings_from
from lmprep.vocabulary import Vocabulary

RawLengths = tuple[NDArray[np.int64], NDArray[np.int8] | None]
"""How many raw tokens each window may hold, int64 [rows], and its denoiser (ul2), int8 [rows]."""


SECOND_STAGES = ("none", "counts", "sums")
"""Nothing: a partition's rows depend on it alone; `corrupt` waits for `counts`, how often each id
occurs in all training documents, int64 [V]; or the counts of all partitions are added up, so that
rows belong to no sequence."""


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
        longest_target: (settings, vocabulary, length) -> tokens in `labels` at most, where those
            are a sequence of their own.
        draws: whether `corrupt` draws anything: whether one copy differs from the next.
        second_stage: what is done when all partitions have been read, a name of `SECOND_STAGES`.
    """

    corrupt: Callable[..., Columns]
    restore: Callable[[Columns, Any, Vocabulary], Sequences] | None
    needs: tuple[str, ...]
    frame: str
    scored: Callable[[Columns], int]
    raw_lengths: Callable[[Any, Vocabulary, int, np.uint64, int], RawLengths] | None = None
    longest_target: Callable[[Any, Vocabulary, int], int] | None = None
    draws: bool = True
    second_stage: str = "none"


def _values_in(name: str) -> Callable[[Columns], int]:
    return lambda columns: len(ragged(columns, name).values)


OBJECTIVES: dict[str, Objective] = {
    "mlm": Objective(
        corrupt=mlm.corrupt,
        restore=restore_masked,
        needs=("cls", "sep", "mask"),
        frame="template",
        scored=_values_in("masked_labels"),
    ),
    "whole-word": Objective(
        corrupt=whole_word.corrupt,
        restore=restore_masked,
        needs=("cls", "sep", "mask"),
        frame="template",
        scored=_values_in("masked_labels"),
    ),
    "ngram": Objective(
        corrupt=ngram.corrupt,
        restore=restore_masked,
        needs=("cls", "sep", "mask"),
        frame="template",
        scored=_values_in("masked_labels"),
    ),
    "span": Objective(
        corrupt=span.corrupt,
        restore=restore_masked,
        needs=("cls", "sep", "mask"),
        frame="template",
        scored=_values_in("masked_labels"),
    ),
    "clm": Objective(
        corrupt=keep_whole,
        restore=restore_whole,
        needs=("sep",),
        frame="ended",
        scored=clm.scored,
        draws=False,
    ),
    "t5": Objective(
        corrupt=t5.corrupt,
        restore=t5.restore,
        needs=("sep",),
        frame="bare",
        scored=_values_in("labels"),
        raw_lengths=t5.raw_lengths,
        longest_target=t5.longest_target,
    ),
    "bart": Objective(
        corrupt=bart.corrupt,
        restore=bart.restore,
        needs=("cls", "sep", "mask"),
        frame="bare",
        scored=_values_in("labels"),
        raw_lengths=bart.raw_lengths,
        longest_target=bart.longest_target,
    ),
    "ul2": Objective(
        corrupt=ul2.corrupt,
        restore=ul2.restore,
        needs=("sep",),
        frame="bare",
        scored=_values_in("labels"),
        raw_lengths=ul2.raw_lengths,
        longest_target=ul2.longest_target,
    ),
    "electra": Objective(
        corrupt=keep_whole,
        restore=restore_whole,
        needs=("cls", "sep", "mask"),
        frame="segments",
        scored=_values_in("input_ids"),
        draws=False,
    ),
    "bilm": Objective(
        corrupt=keep_whole,
        restore=restore_whole,
        needs=("cls", "sep"),
        frame="template",
        scored=bilm.scored,
        draws=False,
    ),
    "infoword": Objective(
        corrupt=infoword.corrupt,
        restore=restore_masked,
        needs=("cls", "sep", "mask"),
        frame="template",
        scored=_values_in("masked_labels"),
    ),
    "skipgram": Objective(
        corrupt=skipgram.corrupt,
        restore=None,
        needs=(),
        frame="bare",
        scored=skipgram.scored,
        second_stage="counts",
    ),
    "cooccurrence": Objective(
        corrupt=cooccurrence.corrupt,
        restore=None,
        needs=(),
        frame="bare",
        scored=cooccurrence.scored,
        draws=False,
        second_stage="sums",
    ),
}


def stored_objective(manifest: Mapping[str, Any]) -> tuple[Objective, Any]:
    """The objective of a manifest, and the settings it was used with."""
    name = manifest["objective"]
    written = manifest["settings"]["objective_settings"]
    return OBJECTIVES[name], settings_from(FORMS[name].settings, written)


class UnfitVocabulary(ValueError):
    """A vocabulary without the tokens that an objective needs."""


def check_fit(
    objective: str, settings: Any, sequences: SequenceSettings, vocabulary: Vocabulary
) -> None:
    """Raise `ValueError` when objective, sequences and vocabulary do not go together.

    Raises:
        UnfitVocabulary: the vocabulary is of another family or lacks a token.
        ValueError: the settings do not go together.
    """
    row, form = OBJECTIVES[objective], FORMS[objective]
    if not isinstance(settings, form.settings):
        raise TypeError(
            f"{objective} takes {form.settings.__name__}, not {type(settings).__name__}"
        )
    if sequences.pairs not in form.pairs:
        raise ValueError(
            f"{objective} does not take pairs {sequences.pairs}; pairs {' or '.join(form.pairs)} "
            "would do"
        )
    if sequences.pairs == "none" and sequences.sequences not in form.sequences:
        raise ValueError(
            f"{objective} does not take {sequences.sequences} sequences; "
            f"{' or '.join(form.sequences)} would do"
        )
    if vocabulary.family not in form.families:
        raise UnfitVocabulary(
            f"{objective} needs a vocabulary of family {' or '.join(form.families)}, not "
            f"{vocabulary.family}"
        )
    missing = [role for role in row.needs if getattr(vocabulary, role) is None]
    if missing:
        raise UnfitVocabulary(
            f"{objective} needs a {missing[0]} token, which a vocabulary of family "
            f"{vocabulary.family} does not have"
        )
    if row.raw_lengths is not None:
        row.raw_lengths(settings, vocabulary, sequences.length, np.uint64(0), 1)
