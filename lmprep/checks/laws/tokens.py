"""Laws of tokens chosen one by one: exactly so many of a row, every set of them equally likely."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.laws.frames import template_places
from lmprep.checks.laws.masking import predicted_flags
from lmprep.checks.laws.positions import UniformPositions
from lmprep.checks.outcomes import RowLaw
from lmprep.checks.record import Batch, Check, Contract
from lmprep.checks.row_arrays import in_rows, running
from lmprep.settings import decimal

Flags = NDArray[np.bool_]


def wanted_counts(contract: Contract) -> NDArray[np.int64]:
    """How many tokens a row of each length predicts where so many can be, int64 [length + 1]."""
    rate = contract.settings.mask_rate
    # Python rounds fractions half to even, exactly.
    return np.array([max(1, round(n * rate)) for n in range(contract.length + 1)])


def maskable(batch: Batch) -> Flags:
    """Tokens that could have been chosen: all but the template's, bool [T]."""
    return ~template_places(batch)


def count_law(contract: Contract, candidates: Callable[[Batch], Flags]) -> RowLaw:
    """Exactly the share of the length is chosen, or all candidates."""
    wanted = wanted_counts(contract)

    def broken(batch: Batch) -> Flags:
        free = candidates(batch)
        expected = np.minimum(in_rows(free, batch.ids.offsets), wanted[batch.ids.lengths])
        counted = predicted_flags(batch) & (free | template_places(batch))
        differ: Flags = in_rows(counted, batch.ids.offsets) != expected
        return differ

    rate = decimal(contract.settings.mask_rate)
    return RowLaw("predictions", f"{rate} of the length", broken)


class Positions:
    """Predicted tokens are uniform over a row's candidates."""

    def __init__(self, contract: Contract, candidates: Callable[[Batch], Flags]) -> None:
        self._candidates = candidates
        self._test = UniformPositions("positions uniform", contract.length)

    def see(self, batch: Batch) -> None:
        free, offsets = self._candidates(batch), batch.ids.offsets
        chosen = free & predicted_flags(batch)
        before = running(free)
        k = in_rows(chosen, offsets)
        ranks = before[np.flatnonzero(chosen)] - np.repeat(before[offsets[:-1]], k)
        self._test.add(ranks, k, in_rows(free, offsets))

    def check(self) -> Check:
        return self._test.check()
