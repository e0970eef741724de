"""Noise masks of exact numbers of noise tokens and of runs.

T5 (arXiv:1910.10683), section 3.1.4. `noise` tokens are parted into `spans` runs and the rest into
as many gaps, each by a uniform composition (every way of parting equally likely), laid out as
gap, run, gap, run ... The row then begins at a uniform place of that circle, moved out of a run
(`lmprep.objectives.rotation`). T5's code does not rotate: its masks never begin with noise and
always end with it.

Draws of a row: sub-key 0 parts the noise, 1 the rest (counter s: whether a part begins at token
s), 2 chooses the place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel
from lmprep.keyed_random import Keys, draw, integer_below
from lmprep.objectives.rotation import first_place

_RUNS, _GAPS, _PLACE = 0, 1, 2


def span_mask(
    offsets: NDArray[np.int64],
    noise: NDArray[np.int64],
    spans: NDArray[np.int64],
    rotated: NDArray[np.bool_],
    keys: Keys,
) -> NDArray[np.bool_]:
    """A mask over the rows: bool [T], True on noise.

    Args:
        offsets: int64 [N + 1], of the rows.
        noise, spans: int64 [N], noise tokens and runs of them in each row; 1 <= spans <= both
            noise and rest, or a single run and no rest; 0 and 0 for an empty row.
        rotated: bool [N], False: the row ends with its last run.
        keys: uint64 [N].
    """
    mask = np.zeros(offsets[-1], np.bool_)
    scratch = np.empty((3, int(spans.max(initial=0)) + 1), np.int64)
    _write_masks(offsets, noise, spans, rotated, keys, scratch, mask)
    return mask


@bare_kernel
def _write_masks(
    offsets: NDArray[np.int64],
    noise: NDArray[np.int64],
    spans: NDArray[np.int64],
    rotated: NDArray[np.bool_],
    keys: Keys,
    scratch: NDArray[np.int64],
    mask: NDArray[np.bool_],
) -> None:
    runs, gaps, starts = scratch
    for row in range(len(keys)):
        length = offsets[row + 1] - offsets[row]
        if length == 0:
            continue
        _compose(noise[row], spans[row], draw(keys[row], _RUNS), runs)
        _compose(length - noise[row], spans[row], draw(keys[row], _GAPS), gaps)
        place = 0
        for span in range(spans[row]):
            starts[span] = place + gaps[span]
            place = starts[span] + runs[span]
        first = 0
        if rotated[row]:
            first = first_place(starts, runs, spans[row], length, draw(keys[row], _PLACE))
        for span in range(spans[row]):
            start = offsets[row] + (starts[span] - first) % length
            mask[start : start + runs[span]] = True


@bare_kernel
def _compose(total: int, parts: int, key: np.uint64, out: NDArray[np.int64]) -> None:
    """Part `total` into `parts` positive numbers, every way equally likely.

    A way is a set of parts - 1 of the total - 1 places at which a new part may begin: selection
    sampling (Knuth's algorithm S).
    """
    part, begin = 0, 0
    for place in range(1, total):
        missing = parts - 1 - part
        if missing == 0:
            break
        if integer_below(total - place, key, place) < missing:
            out[part] = place - begin
            begin = place
            part += 1
    out[part] = total - begin
