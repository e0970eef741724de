"""Laws of ELECTRA's rows: one segment in a tenth of them, or more where there is no second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmprep.checks.outcomes import statistical
from lmprep.checks.record import Batch, Check, Contract, Observer
from lmprep.checks.statistics import at_least_as_many

_ALONE = 0.1


def segment_laws(contract: Contract) -> Sequence[Observer]:
    """What the segments of the rows obey; where they are cut only the source tells."""
    return [OneSegment()]


class OneSegment:
    """Every row is meant for one segment in one of ten cases; text may end before a second."""

    def __init__(self) -> None:
        self._rows = self._alone = 0

    def see(self, batch: Batch) -> None:
        self._rows += len(batch)
        self._alone += int(np.sum(batch.values("first_segment_length") == batch.ids.lengths))

    def check(self) -> Check:
        share = self._alone / max(1, self._rows)
        return statistical(
            "one segment",
            f"{_ALONE:.0%} of the rows or more",
            f"{share:.2%}",
            "standard errors",
            at_least_as_many(self._alone, self._rows, _ALONE),
        )
