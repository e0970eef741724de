"""CBOW: each token from the mean of those around it (word2vec, arXiv:1301.3781, section 3.1).

It learns from the rows that skip-gram learns from, thinned out in the same way. A centre's reach is
drawn as there; the negatives are drawn once for a centre, since it is predicted once.

    cat sat mat   reach 1   ->   {sat} cat    {cat, mat} sat    {sat} mat

A token that stands alone in its row has nothing around it, and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import Int, bare_kernel
from lmprep.keyed_random import Keys, integer_below
from lmprep.objective_settings import SkipgramSettings
from lmprep.objectives.skipgram import NoiseTable, noise_id
from lmprep.ragged import Ragged, offsets_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """C centres and what stands around them, in the order of the text.

    Args:
        centres: int32 [C].
        around: int32 ids, ragged, C rows, none of them empty.
        negatives: int32 [C, settings.negatives].
    """

    centres: NDArray[np.int32]
    around: Ragged
    negatives: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.centres)


def draw_windows(
    rows: Ragged, settings: SkipgramSettings, noise: NoiseTable, keys: Keys
) -> Windows:
    """All windows of N rows of ids, with their negatives; row i draws only from keys[i].

    Centre i of a row draws its reach with counter s * i and its n-th negative with s * i + 1 + n,
    where s = 1 + negatives.
    """
    lengths = rows.lengths
    several = lengths > 1
    firsts = offsets_of(np.where(several, lengths, 0))
    sizes = np.empty(firsts[-1], np.int64)
    stride = 1 + settings.negatives
    _window_sizes(lengths, settings.window, stride, keys, firsts, sizes)
    offsets = offsets_of(sizes)
    windows = Windows(
        centres=np.empty(firsts[-1], np.int32),
        around=Ragged(np.empty(offsets[-1], np.int32), offsets),
        negatives=np.empty((firsts[-1], settings.negatives), np.int32),
    )
    _write_windows(
        rows.values,
        rows.offsets[:-1],
        lengths,
        settings.window,
        keys,
        (noise.bounds, noise.guide, noise.shift),
        (firsts, offsets),
        (windows.centres, windows.around.values, windows.negatives),
    )
    return windows


@bare_kernel
def _window_sizes(
    lengths: NDArray[np.int64],
    window: Int,
    stride: Int,
    keys: Keys,
    firsts: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> None:
    """How many tokens stand around each centre; rows of one token have none."""
    for row in range(len(keys)):
        length = lengths[row]
        for i in range(firsts[row + 1] - firsts[row]):
            reach = 1 + integer_below(window, keys[row], stride * i)
            sizes[firsts[row] + i] = min(i, reach) + min(length - 1 - i, reach)


@bare_kernel
def _write_windows(
    ids: NDArray[np.int32],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    window: Int,
    keys: Keys,
    noise: tuple[NDArray[np.uint64], NDArray[np.int64], Int],
    places: tuple[NDArray[np.int64], NDArray[np.int64]],
    out: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]],
) -> None:
    """Write the windows of row r from window places[0][r] on."""
    firsts, offsets = places
    centres, around, negatives = out
    stride = 1 + negatives.shape[1]
    for row in range(len(keys)):
        start, length = starts[row], lengths[row]
        for i in range(firsts[row + 1] - firsts[row]):
            centre = firsts[row] + i
            centres[centre] = ids[start + i]
            reach = 1 + integer_below(window, keys[row], stride * i)
            place = offsets[centre]
            for j in range(max(0, i - reach), min(length, i + reach + 1)):
                if j != i:
                    around[place] = ids[start + j]
                    place += 1
            for n in range(negatives.shape[1]):
                negatives[centre, n] = noise_id(noise, keys[row], stride * i + 1 + n)
