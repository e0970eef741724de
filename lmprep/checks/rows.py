"""Laws of single rows: lengths, ids, positions, special tokens where the template has them.

The `sound` laws make sure that a row can be looked at closer: that positions point into it and ids
into the vocabulary. Rows that break one of them are left out of everything that follows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import DOCUMENT_SHIFT
from lmprep.checks.record import Batch, Contract, RowLaw, in_rows
from lmprep.ragged import Ragged

Flags = NDArray[np.bool_]


def sound_laws(contract: Contract) -> list[RowLaw]:
    """What a row must be like for the other laws to make sense."""
    length, size = contract.sequences.length, contract.vocabulary.size
    laws = [
        RowLaw("lengths", f"3 to {length} tokens", _length_broken),
        RowLaw("ids", f"below {size}", lambda b: _outside_vocabulary(b, "input_ids")),
        RowLaw("labels", f"below {size}", lambda b: _outside_vocabulary(b, "masked_labels")),
        RowLaw("labels and positions", "equally many", _counts_differ),
        RowLaw("positions", "rising, within the row", _not_rising),
    ]
    if contract.is_packed:
        expected = "a token and a separator apart"
        laws.append(RowLaw("document starts", expected, _starts_broken))
    if contract.pairs != "none":
        laws.append(RowLaw("segments", "two, not empty", _segment_broken))
    return laws


def template_laws(contract: Contract) -> list[RowLaw]:
    """Special tokens and origins."""
    return [
        RowLaw("template", f"that of {contract.vocabulary.family}", _template_broken),
        RowLaw("special tokens", "never predicted", _special_predicted),
        RowLaw("origin", "documents of the shard's source", _origin_broken),
    ]


def _length_broken(batch: Batch) -> Flags:
    lengths = batch.ids.lengths
    return (lengths < 3) | (lengths > batch.contract.sequences.length)


def _outside_vocabulary(batch: Batch, name: str) -> Flags:
    ids = batch.flat(name)
    outside = (ids < 0) | (ids >= batch.contract.vocabulary.size)
    return in_rows(outside, batch.lists(name).offsets) > 0


def _counts_differ(batch: Batch) -> Flags:
    positions, labels = batch.lists("masked_positions"), batch.lists("masked_labels")
    broken: Flags = positions.lengths != labels.lengths
    return broken


def _not_rising(batch: Batch) -> Flags:
    """Whether the positions of a row do not rise strictly within 0 and its length."""
    column, positions = batch.lists("masked_positions"), batch.flat("masked_positions")
    outside = positions >= np.repeat(batch.ids.lengths, column.lengths)
    return in_rows(outside | (_steps(column, first=-1) < 1), column.offsets) > 0


def _starts_broken(batch: Batch) -> Flags:
    """Documents of one token at least: the first at 1, a separator before each, one at the end."""
    column, starts = batch.lists("document_starts"), batch.flat("document_starts")
    closing = np.repeat(batch.ids.lengths, column.lengths) - 1
    return in_rows((starts >= closing) | (_steps(column, first=1) < 2), column.offsets) > 0


def _steps(column: Ragged, first: int) -> NDArray[np.int64]:
    """How far each value lies above the one before it in its row, the first above `first`."""
    values = column.values.astype(np.int64)
    steps: NDArray[np.int64] = values - np.roll(values, 1)
    begins = column.offsets[:-1][column.lengths > 0]
    steps[begins] = values[begins] - first
    return steps


def _segment_broken(batch: Batch) -> Flags:
    """[CLS], one token and a separator before, one token and the closing separator after."""
    first, gap = batch.values("first_segment_length"), batch.contract.separators - 1
    return (first < 3) | (first + gap + 2 > batch.ids.lengths)


def template_places(batch: Batch) -> Flags:
    """Where the template has special tokens, bool [T]."""
    offsets = batch.ids.offsets
    places = np.zeros(len(batch.ids.values), np.bool_)
    places[offsets[:-1]] = places[offsets[1:] - 1] = True
    if batch.contract.is_packed:
        places[batch.places("document_starts") - 1] = True
    if batch.contract.pairs != "none":
        first = offsets[:-1] + batch.values("first_segment_length") - 1
        for separator in range(batch.contract.separators):
            places[first + separator] = True
    return places


def _template_broken(batch: Batch) -> Flags:
    """Before corruption: [CLS] first, separators at their places, nothing special elsewhere."""
    places, original = template_places(batch), batch.original
    special = np.full(len(places), batch.contract.sep)
    special[batch.ids.offsets[:-1]] = batch.contract.cls
    wrong = places & (original != special)
    wrong |= ~places & ~batch.contract.vocabulary.maskable[original]
    return in_rows(wrong, batch.ids.offsets) > 0


def _special_predicted(batch: Batch) -> Flags:
    special = ~batch.contract.vocabulary.maskable[batch.flat("masked_labels")]
    special |= template_places(batch)[batch.chosen]
    return in_rows(special, batch.lists("masked_positions").offsets) > 0


def _origin_broken(batch: Batch) -> Flags:
    names = ["document"] if batch.contract.pairs == "none" else ["document", "second_document"]
    broken = batch.values("first_sentence") < 0
    for name in names:
        broken |= batch.values(name) >> DOCUMENT_SHIFT != batch.source
    return broken
