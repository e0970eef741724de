"""Rows stored as they are, for objectives that derive what they predict while training."""

from __future__ import annotations

from lmprep.batches import Columns, Sequences, ragged
from lmprep.keyed_random import Keys
from lmprep.objectives.restoring import sequences_of
from lmprep.ragged import Ragged
from lmprep.vocabulary import Vocabulary


def keep_whole(
    sequences: Sequences, settings: object, vocabulary: Vocabulary, keys: Keys
) -> Columns:
    """The rows as they are: `input_ids`, int32, ragged, N rows. Nothing is drawn."""
    return {"input_ids": Ragged(sequences.ids, sequences.offsets)}


def restore_whole(columns: Columns, settings: object, vocabulary: Vocabulary) -> Sequences:
    """The sequences of rows that were kept whole."""
    return sequences_of(ragged(columns, "input_ids"), columns, vocabulary)
