"""Where in the source the text of rows stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.frames import template_places
from lmprep.checks.record import Batch
from lmprep.checks.row_arrays import in_rows, place_in_row, row_of
from lmprep.checks.source.corpus import Text
from lmprep.jit import bare_kernel
from lmprep.ragged import offsets_of

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Placed:
    """The text of N rows in the source.

    Args:
        tokens: int64 [M], the tokens of the rows' text, as indices into the original sequences.
        raw: int64 [M], where in the source each stands; -1 where it was not found.
        row: int64 [M], the row of each.
        lost: tokens of the source that no row holds as its own.
    """

    tokens: Places
    raw: Places
    row: Places
    lost: int

    def missing(self, rows: int) -> Flags:
        """Rows with a token that was not found, bool [rows]."""
        return np.bincount(self.row[self.raw < 0], minlength=rows) > 0


def place(batch: Batch, text: Text) -> Placed:
    """Find the text of all rows of a partition, one copy of it, in its source."""
    if batch.contract.objective == "skipgram":
        return _place_thinned(batch, text)
    return (
        _place_windows(batch, text) if batch.contract.pairs == "none" else _place_pairs(batch, text)
    )


def _place_windows(batch: Batch, text: Text) -> Placed:
    """Windows hold all of the text, one after another."""
    inside = ~template_places(batch)
    tokens, row = np.flatnonzero(inside), row_of(batch.original)[inside]
    lengths = in_rows(inside, batch.original.offsets)
    order = np.argsort(batch.ranks)
    begins = np.empty(len(batch), np.int64)
    begins[order] = offsets_of(lengths[order])[:-1]
    within = np.arange(len(row)) - offsets_of(lengths)[row]
    raw = begins[row] + within
    there = raw < len(text.tokens.ids)
    there[there] = text.tokens.ids[raw[there]] == batch.original.values[tokens[there]]
    lost = max(0, len(text.tokens.ids) - len(tokens))
    return Placed(tokens=tokens, raw=np.where(there, raw, -1), row=row, lost=lost)


def _place_pairs(batch: Batch, text: Text) -> Placed:
    """Segments stand in the sentence they name, or begin later in it; those of a partition's own
    chunks come in the order of the text, and never overlap."""
    inside = ~template_places(batch)
    tokens, row = np.flatnonzero(inside), row_of(batch.original)[inside]
    second = place_in_row(batch.original)[inside] >= batch.values("first_segment_length")[row]
    swapped = np.zeros(len(batch), np.int64)
    if batch.contract.pairs == "sop":
        swapped = batch.values("sentence_order_label")
    # Segment 2 r is what comes first in the text of the row with rank r.
    segment = 2 * batch.ranks[row] + (second ^ (swapped[row] == 1))
    order = np.argsort(segment, kind="stable")
    lengths = np.bincount(segment, minlength=2 * len(batch))
    low, high, own = _bounds(batch, text, swapped)
    values = batch.original.values[tokens[order]]
    starts = np.empty(len(lengths), np.int64)
    _place(values, offsets_of(lengths), own, low, high, text.tokens.ids, starts)
    within = np.arange(len(order)) - offsets_of(lengths)[segment[order]]
    begin = starts[segment[order]]
    raw = np.empty(len(order), np.int64)
    raw[order] = np.where(begin < 0, -1, begin + within)
    held = int(lengths[own & (starts >= 0)].sum())
    return Placed(tokens=tokens, raw=raw, row=row, lost=len(text.tokens.ids) - held)


def _bounds(batch: Batch, text: Text, swapped: Places) -> tuple[Places, Places, Flags]:
    """Between which tokens each segment begins, and whether it is the row's own: [2 N] each."""
    low, high = np.zeros(2 * len(batch), np.int64), np.zeros(2 * len(batch), np.int64)
    own = np.ones(2 * len(batch), np.bool_)
    for which, prefix in enumerate(("", "second_")):
        ordinal = batch.values("second_sentence" if which else "first_sentence")
        start, stop = text.sentence(batch.values(f"{prefix}document"), ordinal)
        segment = 2 * batch.ranks + (which ^ (swapped == 1))
        low[segment], high[segment] = start, stop
        if which and batch.contract.pairs == "nsp":
            own[segment] = batch.values("next_sentence_label") == 0
    return low, high, own


@bare_kernel
def _place(
    values: NDArray[np.int32],
    offsets: Places,
    own: Flags,
    low: Places,
    high: Places,
    ids: NDArray[np.int32],
    starts: Places,
) -> None:
    """Say where each segment begins: the first place that fits, -1 for none.

    Taking the first place is never wrong: it leaves the most text to those that come after.
    """
    end = 0
    for segment in range(len(starts)):
        length = offsets[segment + 1] - offsets[segment]
        starts[segment] = -1
        first = max(low[segment], end) if own[segment] else low[segment]
        for start in range(first, min(high[segment], len(ids) - length + 1)):
            same = True
            for i in range(length):
                if ids[start + i] != values[offsets[segment] + i]:
                    same = False
                    break
            if same:
                starts[segment] = start
                end = start + length if own[segment] else end
                break


def _place_thinned(batch: Batch, text: Text) -> Placed:
    """What stayed of a window comes in the order of the text, within its document."""
    rows = batch.ids
    low, _ = text.sentence(batch.values("document"), batch.values("first_sentence"))
    ends = text.tokens.sentence_offsets[text.tokens.document_offsets[1:]]
    document = np.searchsorted(text.tokens.numbers, batch.values("document"))
    high = ends[np.minimum(document, len(ends) - 1)]
    raw = np.empty(len(rows.values), np.int64)
    order = np.argsort(batch.ranks)
    _follow(batch.flat("input_ids"), rows.offsets, order, low, high, text.tokens.ids, raw)
    return Placed(tokens=np.arange(len(raw)), raw=raw, row=row_of(rows), lost=0)


@bare_kernel
def _follow(
    values: NDArray[np.int32],
    offsets: Places,
    order: Places,
    low: Places,
    high: Places,
    ids: NDArray[np.int32],
    raw: Places,
) -> None:
    """Say where each token stands, later than the one before it; -1 from where one is missing."""
    place = 0
    for row in order:
        place = max(place, low[row])
        for i in range(offsets[row], offsets[row + 1]):
            while place < high[row] and ids[place] != values[i]:
                place += 1
            raw[i] = place if place < high[row] else -1
            place += place < high[row]
