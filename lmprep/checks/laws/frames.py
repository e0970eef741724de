"""Special tokens: where the layout of a sequence has them, and nowhere else; and origins.

template   [CLS] A [SEP]    [CLS] A [SEP] B [SEP]    [CLS] end of one [SEP] start of next [SEP]
segments   [CLS] A [SEP]    [CLS] A [SEP] B [SEP]
ended      end of one </s> the next </s> start of another
bare       no special token
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import DOCUMENT_SHIFT
from lmprep.checks.outcomes import RowLaw
from lmprep.checks.record import Batch, Contract
from lmprep.checks.row_arrays import any_in_rows

Flags = NDArray[np.bool_]

_EXPECTED = {
    "template": "those of the template, at their places",
    "segments": "those of the template, at their places",
    "ended": "a separator behind each document",
    "bare": "none in the text",
}


def frame_laws(contract: Contract) -> Sequence[RowLaw]:
    """Special tokens and origins."""
    return [
        RowLaw("template", _EXPECTED[contract.subject.frame], _template_broken),
        RowLaw("origin", "documents of the shard's source", _origin_broken),
    ]


def template_places(batch: Batch) -> Flags:
    """Where the original sequences have special tokens by their layout, bool [T]."""
    return batch.once(_places)


def _places(batch: Batch) -> Flags:
    places = np.zeros(len(batch.original.values), np.bool_)
    frame, offsets = batch.contract.subject.frame, batch.original.offsets
    if frame == "bare":
        return places
    if batch.contract.has_document_starts:
        places[batch.places("document_starts", batch.original) - 1] = True
    last = offsets[1:] - 1
    if frame == "ended":
        places[last] = batch.original.values[last] == batch.contract.sep
        return places
    places[offsets[:-1]] = places[last] = True
    if "first_segment_length" in batch.columns:
        first = batch.values("first_segment_length")
        split = first < batch.original.lengths
        for separator in range(batch.contract.separators):
            places[(offsets[:-1] + first - 1 + separator)[split]] = True
    return places


def _template_broken(batch: Batch) -> Flags:
    """Before corruption: the opening token, separators at their places, nothing special else."""
    places, original = template_places(batch), batch.original
    frame = batch.contract.subject.frame
    special = np.full(len(places), -1 if frame == "bare" else batch.contract.sep)
    if frame in ("template", "segments"):
        special[original.offsets[:-1]] = batch.contract.cls
    wrong = places & (original.values != special)
    wrong |= ~places & ~batch.contract.vocabulary.maskable[original.values]
    return any_in_rows(wrong, original.offsets)


def _origin_broken(batch: Batch) -> Flags:
    """Numbers of documents carry the number of their source; sentences count from 0."""
    broken = np.zeros(len(batch), np.bool_)
    pairs = batch.contract.pairs != "none"
    for prefix in ("first", "second") if pairs else ("first",):
        document = "second_document" if prefix == "second" else "document"
        broken |= batch.values(document) >> DOCUMENT_SHIFT != batch.source
        broken |= batch.values(f"{prefix}_sentence") < 0
    return broken
