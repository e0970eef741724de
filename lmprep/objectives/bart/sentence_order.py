"""Sentence permutation: sentences of a row change places.

BART (arXiv:1910.13461), section 2.2. Of n sentences ceil(rate * n), every set equally likely, are
shuffled among their places, every order equally likely; the others stay.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel, kernel
from lmprep.keyed_random import Keys, draw, integer_below
from lmprep.objectives.bart.sources import ORDER, SENTENCES
from lmprep.ragged import Ragged


def permute_sentences(sources: Ragged, starts: Ragged, rate: Fraction, keys: Keys) -> Ragged:
    """The sentences of whole rows in another order.

    Args:
        sources: whole rows in order.
        starts: int32, ragged: where each sentence but the first begins, rising.
    """
    out = np.empty_like(sources.values)
    most = int(starts.lengths.max(initial=0)) + 1
    _permute(
        sources.values,
        sources.offsets,
        starts.values,
        starts.offsets,
        (rate.numerator, rate.denominator),
        keys,
        np.empty((2, most), np.int64),
        out,
    )
    return Ragged(out, sources.offsets)


@kernel
def _permute(
    sources: NDArray[np.int32],
    offsets: NDArray[np.int64],
    starts: NDArray[np.int32],
    start_offsets: NDArray[np.int64],
    rate: tuple[int, int],
    keys: Keys,
    scratch: NDArray[np.int64],
    out: NDArray[np.int32],
) -> None:
    order, moving = scratch
    for row in range(len(keys)):
        bounds = starts[start_offsets[row] : start_offsets[row + 1]]
        sentences = len(bounds) + 1
        moved = (sentences * rate[0] + rate[1] - 1) // rate[1]
        _choose(sentences, moved, draw(keys[row], SENTENCES), moving)
        for sentence in range(sentences):
            order[sentence] = sentence
        _shuffle(order, moving[:moved], draw(keys[row], ORDER))
        to = offsets[row]
        for sentence in order[:sentences]:
            first = bounds[sentence - 1] if sentence > 0 else 0
            stop = bounds[sentence] if sentence < len(bounds) else offsets[row + 1] - offsets[row]
            for i in range(offsets[row] + first, offsets[row] + stop):
                out[to] = sources[i]
                to += 1


@bare_kernel
def _choose(things: int, wanted: int, key: np.uint64, out: NDArray[np.int64]) -> None:
    """Choose `wanted` of so many things, every set equally likely, rising (algorithm S)."""
    found = 0
    for thing in range(things):
        if found == wanted:
            break
        if integer_below(things - thing, key, thing) < wanted - found:
            out[found] = thing
            found += 1


@bare_kernel
def _shuffle(order: NDArray[np.int64], places: NDArray[np.int64], key: np.uint64) -> None:
    """Shuffle what stands at these places of `order` among them, every order equally likely."""
    for i in range(len(places) - 1, 0, -1):
        other = places[integer_below(i + 1, key, i)]
        order[places[i]], order[other] = order[other], order[places[i]]
