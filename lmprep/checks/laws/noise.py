"""Noise of T5 and UL2: how much of a row, in how many spans, and how long a full row is.

Worked out anew from T5 (arXiv:1910.10683), sections 3.1.4 and 3.3: shares are rounded half to
even, exactly; at least one token is noise and, where noise comes in spans, at least one is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.outcomes import RowLaw
from lmprep.checks.record import Batch
from lmprep.checks.row_arrays import in_rows
from lmprep.ragged import Ragged

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

_LONGEST_ROW = 65_536
"""Raw tokens in a row at most, so that every position fits 16 bits."""


@dataclass(frozen=True, eq=False)
class Undone:
    """Rows before corruption.

    Args:
        original: the raw tokens.
        noise: bool [T], which of them are noise as far as can be seen.
    """

    original: Ragged
    noise: Flags

    @property
    def counts(self) -> Places:
        """Noise tokens of each row, int64 [N]."""
        return in_rows(self.noise, self.original.offsets)

    @property
    def starts(self) -> Flags:
        """Where a run of noise begins, bool [T]; it ends with its row."""
        before = np.append(False, self.noise[:-1])
        before[self.original.offsets[:-1][self.original.lengths > 0]] = False
        starts: Flags = self.noise & ~before
        return starts


Undo = Callable[[Batch], Undone]


def span_noise(length: int, density: Fraction) -> int:
    """Noise tokens of a row of so many raw tokens when they come in spans."""
    return max(min(1, length), min(max(1, round(length * density)), length - 1))


def token_noise(length: int, density: Fraction) -> int:
    """Noise tokens of a row of so many raw tokens when each is chosen by itself."""
    return min(length, max(1, round(length * density)))


def spans_of(length: int, noise: int, mean: int) -> int:
    """Spans of noise in a row of so many raw tokens; with mean 0 it is a single one."""
    if mean == 0 or noise == length:
        return min(1, noise)
    return min(max(1, round(Fraction(noise, mean))), noise, length - noise)


def full_length(sizes: Callable[[int], tuple[int, int]], length: int, density: Fraction) -> int:
    """The most raw tokens whose inputs fit the length, and up to density 1/2 their labels too.

    Args:
        sizes: (raw tokens) -> tokens in inputs and in labels at most.
    """
    tokens = 2
    while tokens < _LONGEST_ROW:
        inputs, labels = sizes(tokens + 1)
        if inputs > length or (density <= Fraction(1, 2) and labels > length):
            break
        tokens += 1
    return tokens


def table_of(count: Callable[[int], int], longest: int) -> Places:
    """A count for every length from 0 to `longest`: int64 [longest + 1]."""
    return np.array([count(length) for length in range(longest + 1)], np.int64)


def exact_law(name: str, expected: str, found: Callable[[Batch], Places], table: Places) -> RowLaw:
    """Every row has exactly the count that the table has for its raw length."""

    def broken(batch: Batch) -> Flags:
        lengths = np.minimum(batch.original.lengths, len(table) - 1)
        differ: Flags = found(batch) != table[lengths]
        return differ

    return RowLaw(name, expected, broken)
