"""From a partition's tokens to the rows of its shards: pure functions of settings and place."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Columns, Drops, Sequences, Tokens
from lmprep.build_settings import BuildSettings
from lmprep.dynamic import corruption_key
from lmprep.keyed_random import key_for, sub_keys
from lmprep.objectives import OBJECTIVES, RawLengths
from lmprep.sequences import make_sequences
from lmprep.vocabulary import Vocabulary

PARTS = ("train", "valid")


class Place(NamedTuple):
    """Where in a build something stands: a name of `PARTS`, a source, one of its partitions."""

    part: str
    source: int
    partition: int


def sequences_of(
    tokens: Tokens, settings: BuildSettings, vocabulary: Vocabulary, place: Place
) -> tuple[Sequences, Drops]:
    """The sequences of one part of a partition, in the order of its text, and what was dropped."""
    part, source, partition = place
    key = key_for(settings.seed, f"sequences {part}", source=source, partition=partition)
    return make_sequences(
        tokens,
        settings.sequences,
        vocabulary,
        key,
        frame=OBJECTIVES[settings.objective].frame,
        raw_lengths=_raw_lengths(settings, vocabulary, place),
        sentence_starts=settings.objective == "bart",
    )


def _raw_lengths(
    settings: BuildSettings, vocabulary: Vocabulary, place: Place
) -> Callable[[int], RawLengths] | None:
    """How many raw tokens the first so many windows of a part hold, where that varies."""
    raw_lengths = OBJECTIVES[settings.objective].raw_lengths
    if raw_lengths is None:
        return None
    part, source, partition = place
    key = key_for(settings.seed, f"raw lengths {part}", source=source, partition=partition)
    own, length = settings.objective_settings, settings.sequences.length
    return lambda rows: raw_lengths(own, vocabulary, length, key, rows)


def corrupted(
    sequences: Sequences,
    settings: BuildSettings,
    vocabulary: Vocabulary,
    place: Place,
    copy: int,
    counts: NDArray[np.int64] | None = None,
) -> Columns:
    """The columns of one copy of the sequences, in the same order.

    Args:
        counts: int64 [V], how often each id occurs in all training documents, for an objective
            that needs to know; else these sequences count as all.
    """
    objective = OBJECTIVES[settings.objective]
    keys = sub_keys(corruption_key(settings.seed, copy, *place), np.arange(len(sequences)))
    known = {"counts": counts} if objective.second_stage == "counts" else {}
    columns = objective.corrupt(sequences, settings.objective_settings, vocabulary, keys, **known)
    return columns if objective.second_stage == "sums" else {**columns, **sequences.provenance()}
