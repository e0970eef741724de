"""What is checked of rows that are stored as they are: clm, bilm and electra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmprep.checks.laws.rows import frame_sound, length_law, vocabulary_law
from lmprep.checks.laws.segments import segment_laws
from lmprep.checks.laws.streams import window_laws
from lmprep.checks.record import Batch, Contract, Law, Observer, Subject
from lmprep.ragged import Ragged


def _as_stored(batch: Batch) -> Ragged:
    return Ragged(batch.flat("input_ids"), batch.ids.offsets)


def _sound(contract: Contract) -> Sequence[Law]:
    least = 1 if contract.subject.frame == "ended" else 3
    return [
        length_law(least, contract.length),
        vocabulary_law("ids", "input_ids", contract),
        *frame_sound(contract),
    ]


def _stream_laws(contract: Contract) -> Sequence[Observer]:
    return window_laws(contract, lambda batch: np.full(len(batch), contract.length))


CLM = Subject(
    frame="ended",
    columns=lambda contract: {"input_ids": "ids"},
    undo=_as_stored,
    scored=lambda batch: int(np.sum(batch.ids.lengths - 1)),
    sound=_sound,
    laws=_stream_laws,
)

BILM = Subject(
    frame="template",
    columns=lambda contract: {"input_ids": "ids"},
    undo=_as_stored,
    scored=lambda batch: int(np.sum(batch.ids.lengths - 2)),
    sound=_sound,
    laws=lambda contract: [],
)

ELECTRA = Subject(
    frame="segments",
    columns=lambda contract: {"input_ids": "ids"},
    undo=_as_stored,
    scored=lambda batch: len(batch.ids.values),
    sound=_sound,
    laws=segment_laws,
)
