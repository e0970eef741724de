"""Where a circle of places is cut so that a row begins there, without cutting a run in two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel
from lmprep.keyed_random import bernoulli, integer_below


@bare_kernel
def first_place(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], runs: int, places: int, key: np.uint64
) -> int:
    """The place of a circle at which the row begins: uniform, but never inside a run.

    A place inside a run moves to the run's first place or just past its last, by a fair draw: the
    run opens the row or closes it. So a row has as many runs as the circle, and, since moves to
    either side cancel out, each part of it its share of them.

    Args:
        starts, lengths: int64 [runs at least], run r covers lengths[r] places from starts[r] on,
            not beyond the circle's end.
        places: in the circle, at least one.
        key: of this choice alone: counter 0 draws the place, counter 1 the side.
    """
    place = integer_below(places, key, 0)
    for run in range(runs):
        stop = starts[run] + lengths[run]
        if starts[run] < place < stop:
            return starts[run] if bernoulli(1, 2, key, 1) else stop % places  # type: ignore[no-any-return]
    return place
