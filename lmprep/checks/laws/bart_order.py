"""The order of what is left: sentences stay whole, but for one that a rotation parts.

Seen at the tokens that are alone of their kind in their row: read in the order of the inputs, they
come in *blocks* of one sentence with rising positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.remains import Remains, remains
from lmprep.checks.outcomes import RowLaw
from lmprep.checks.record import Batch, Contract
from lmprep.ragged import Ragged

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Blocks:
    """The B blocks of N rows.

    Args:
        row, sentence: int64 [B], which row a block is of, and which of its sentences.
        first, last: int64 [B], the raw positions of its first and its last token.
        rows: N.
    """

    row: Places
    sentence: Places
    first: Places
    last: Places
    rows: int

    @property
    def opens(self) -> Flags:
        """Which blocks are the first of their row, bool [B]."""
        return np.append(True, self.row[1:] != self.row[:-1])[: len(self.row)]

    @property
    def closes(self) -> Flags:
        """Which blocks are the last of their row, bool [B]."""
        return np.append(self.row[1:] != self.row[:-1], True)[: len(self.row)]

    def falls(self) -> Places:
        """How often a row goes back to an earlier position, int64 [N]."""
        back = np.append(False, self.first[1:] < self.last[:-1])[: len(self.row)] & ~self.opens
        return np.bincount(self.row[back], minlength=self.rows)

    def surplus(self) -> Places:
        """Blocks of each row beyond one for every sentence seen, int64 [N]."""
        sentences = np.unique((self.row << 32) | self.sentence) >> 32
        blocks = np.bincount(self.row, minlength=self.rows)
        more: Places = blocks - np.bincount(sentences, minlength=self.rows)
        return more

    def parted(self) -> Flags:
        """Whether a row's first block is a later part of the sentence that its last one begins."""
        parted = np.zeros(self.rows, np.bool_)
        opens, closes = np.flatnonzero(self.opens), np.flatnonzero(self.closes)
        same = (self.sentence[opens] == self.sentence[closes]) & (opens < closes)
        parted[self.row[opens]] = same & (self.first[opens] > self.last[closes])
        return parted


def blocks_of(rest: Remains, sentence_starts: Ragged) -> Blocks:
    """The blocks in which sentences come in the inputs."""
    row, raw, _ = rest.unique
    size = 1 + int(rest.original.lengths.max(initial=0))
    starts = np.repeat(np.arange(len(rest.original)), sentence_starts.lengths) * size
    bounds = starts + sentence_starts.values
    before = np.searchsorted(bounds, row * size + raw, side="right")
    sentence = before - sentence_starts.offsets[row]
    new = np.ones(len(row), np.bool_)
    new[1:] = (row[1:] != row[:-1]) | (sentence[1:] != sentence[:-1]) | (raw[1:] < raw[:-1])
    begin = np.flatnonzero(new)
    end = np.append(begin[1:], len(row)) - 1
    return Blocks(row[begin], sentence[begin], raw[begin], raw[end], len(rest.original))


def order_law(contract: Contract) -> RowLaw:
    """Sentences are whole and, unless they are permuted, in order; but for one rotation."""
    settings = contract.settings
    rotated = bool(settings.rotate_rate)

    def broken(batch: Batch) -> Flags:
        blocks = blocks_of(remains(batch), batch.lists("sentence_starts"))
        surplus = blocks.surplus()
        wrong = surplus > (blocks.parted() & rotated)
        if not settings.permute_rate:
            wrong |= blocks.falls() > rotated
        return wrong

    order = "any order" if settings.permute_rate else "their order"
    return RowLaw("sentence order", f"whole sentences in {order}", broken)
