"""ELECTRA's rows against their source: one in ten is a single segment, whatever its sentences.

Only where a row would be parted for sure, if it were not that one in ten, does a single segment
show: where its first sentence fills half of a row or more, and a second begins in it. A single
segment has room for a token more than two: rows that could hold their next sentence only for that
are left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.outcomes import statistical
from lmprep.checks.record import Batch, Check, Contract
from lmprep.checks.source.corpus import Text
from lmprep.checks.source.placing import Placed
from lmprep.checks.statistics import chi_square

_SHARE = 0.1


class OneSegmentShare:
    """The share of single segments among rows that would else be two."""

    def __init__(self, contract: Contract) -> None:
        self._alone = contract.length - 2
        self._two = self._alone - contract.separators
        self._rows = self._single = 0

    def note(self, batch: Batch, text: Text, placed: Placed) -> None:
        """Take note of rows that were found in the source."""
        found = np.flatnonzero(~placed.missing(len(batch)))
        row, first = np.unique(placed.row, return_index=True)
        start = np.zeros(len(batch), np.int64)
        start[row] = placed.raw[first]
        start, size = start[found], np.bincount(placed.row, minlength=len(batch))[found]
        second = _next_sentence(text, start)
        forced = (second - start >= (self._two + 1) // 2) & (second < start + size)
        counted = forced & (size <= self._two) & ~self._fits_alone(text, start, size)
        single = batch.values("first_segment_length")[found] == batch.ids.lengths[found]
        self._rows += int(counted.sum())
        self._single += int(np.sum(counted & single))

    def _fits_alone(
        self, text: Text, start: NDArray[np.int64], size: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Whether a single segment could hold the next sentence of the document, too."""
        end = start + size
        last = _next_sentence(text, np.minimum(end, len(text.tokens.ids) - 1))
        document = text.starts_document()
        more = end < len(document)
        more[more] = ~document[end[more]]
        fits: NDArray[np.bool_] = more & (last - start <= self._alone)
        return fits

    def check(self) -> Check:
        expected = _SHARE * self._rows
        return statistical(
            "source one segment",
            f"{_SHARE:.0%} of {self._rows} rows that could be two",
            f"{self._single / max(1, self._rows):.2%}",
            "chi-square",
            chi_square(
                [self._single, self._rows - self._single], [expected, self._rows - expected]
            ),
        )


def _next_sentence(text: Text, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first token behind the sentence that each token is of, int64 [N]."""
    offsets = text.tokens.sentence_offsets
    behind: NDArray[np.int64] = offsets[np.searchsorted(offsets, places, side="right")]
    return behind
