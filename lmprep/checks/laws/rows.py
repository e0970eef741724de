"""Laws that make a row sound: ids lie in the vocabulary, positions in the row, lists fit together.

Rows that break one of them are left out of everything that follows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.outcomes import RowLaw
from lmprep.checks.record import Batch, Contract
from lmprep.checks.row_arrays import any_in_rows
from lmprep.ragged import Ragged

Flags = NDArray[np.bool_]
Lengths = Callable[[Batch], NDArray[np.int64]]


def of_ids(batch: Batch) -> NDArray[np.int64]:
    """Length of each row's ids, int64 [N]."""
    return batch.ids.lengths


def length_law(least: int, most: int) -> RowLaw:
    """How many tokens a row may have."""

    def broken(batch: Batch) -> Flags:
        lengths = batch.ids.lengths
        outside: Flags = (lengths < least) | (lengths > most)
        return outside

    return RowLaw("lengths", f"{least} to {most} tokens", broken)


def vocabulary_law(name: str, column: str, contract: Contract) -> RowLaw:
    """A list of ids holds ids."""
    size = contract.vocabulary.size

    def broken(batch: Batch) -> Flags:
        ids = batch.flat(column)
        return any_in_rows((ids < 0) | (ids >= size), batch.lists(column).offsets)

    return RowLaw(name, f"below {size}", broken)


def equal_law(name: str, columns: tuple[str, str]) -> RowLaw:
    """Two lists are equally long."""

    def broken(batch: Batch) -> Flags:
        first, second = (batch.lists(column).lengths for column in columns)
        differ: Flags = first != second
        return differ

    return RowLaw(name, "equally many", broken)


def rising_law(
    name: str,
    column: str,
    expected: str,
    *,
    first: int = 0,
    apart: int = 1,
    within: Lengths = of_ids,
    room: int = 0,
) -> RowLaw:
    """A list of positions rises.

    Args:
        first: the first position is at least this.
        apart: each next is at least so much larger.
        within: the length that positions lie below, less `room`.
    """

    def broken(batch: Batch) -> Flags:
        positions = batch.lists(column)
        ends = np.repeat(within(batch) - room, positions.lengths)
        outside = positions.values.astype(np.int64) >= ends
        return any_in_rows(outside | (_steps(positions, first - apart) < apart), positions.offsets)

    return RowLaw(name, expected, broken)


def _steps(column: Ragged, before: int) -> NDArray[np.int64]:
    """How far each value lies above the one before it in its row, the first above `before`."""
    values = column.values.astype(np.int64)
    steps: NDArray[np.int64] = values - np.roll(values, 1)
    begins = column.offsets[:-1][column.lengths > 0]
    steps[begins] = values[begins] - before
    return steps


def frame_sound(contract: Contract) -> Sequence[RowLaw]:
    """What the columns of a frame must be like: those that say where documents and segments lie."""
    laws = []
    if contract.has_document_starts:
        # Behind the template's opening token, a token and a separator; a stream's row may begin
        # with the separator of a document that the row before ended with.
        template = contract.subject.frame == "template"
        laws.append(
            rising_law(
                "document starts",
                "document_starts",
                "a token and a separator apart",
                first=3 if template else 1,
                apart=2,
                room=int(template),
            )
        )
    if contract.pairs != "none":
        laws.append(RowLaw("segments", "two, not empty", _segments_broken))
    elif contract.subject.frame == "segments":
        laws.append(RowLaw("segments", "one or two, not empty", _first_segment_broken))
    return laws


def _segments_broken(batch: Batch) -> Flags:
    """[CLS], one token and a separator before, one token and the closing separator after."""
    first, gap = batch.values("first_segment_length"), batch.contract.separators - 1
    broken: Flags = (first < 3) | (first + gap + 2 > batch.ids.lengths)
    return broken


def _first_segment_broken(batch: Batch) -> Flags:
    whole = batch.values("first_segment_length") == batch.ids.lengths
    broken: Flags = _segments_broken(batch) & ~whole
    return broken
