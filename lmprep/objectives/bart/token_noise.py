"""Noise on single tokens: masking, deletion, substitution, insertion; and document rotation.

BART (arXiv:1910.13461), section 2.2; substitution and insertion are in its code. Numbers of tokens
are exact, and every set of places equally likely.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel, kernel
from lmprep.keyed_random import Keys, bernoulli, draw, integer_below
from lmprep.objectives.bart.sources import (
    BEGINNING,
    DELETED,
    INSERTED,
    MASK_TOKEN,
    MASKED,
    RANDOM_TOKEN,
    REPLACED,
)
from lmprep.ragged import Ragged, offsets_of


def mask_tokens(sources: Ragged, wanted: NDArray[np.int64], keys: Keys) -> Ragged:
    """`wanted` (int64 [N]) raw tokens of each row, or all that are left, become the mask token."""
    chosen = _choose_raw(sources.values, sources.offsets, wanted, keys, MASKED)
    masked = np.where(chosen, np.int32(MASK_TOKEN), sources.values)
    return Ragged(masked, sources.offsets)


def delete_tokens(sources: Ragged, wanted: NDArray[np.int64], keys: Keys) -> Ragged:
    """`wanted` (int64 [N]) raw tokens of each row, or all that are left, vanish."""
    stays = ~_choose_raw(sources.values, sources.offsets, wanted, keys, DELETED)
    offsets = np.append(0, np.cumsum(stays))[sources.offsets]
    return Ragged(sources.values[stays], offsets)


def replace_masks(sources: Ragged, share: Fraction, keys: Keys) -> Ragged:
    """Mask tokens become random tokens with probability `share`, each drawn by itself."""
    values = sources.values.copy()
    _replace(values, sources.offsets, (share.numerator, share.denominator), keys)
    return Ragged(values, sources.offsets)


def insert_tokens(sources: Ragged, counts: NDArray[np.int64], keys: Keys) -> Ragged:
    """`counts` (int64 [N]) random tokens more in each row, at uniform places of the longer row."""
    offsets = offsets_of(sources.lengths + counts)
    values = np.empty(offsets[-1], np.int32)
    _insert(sources.values, sources.offsets, keys, values, offsets)
    return Ragged(values, offsets)


def rotate(sources: Ragged, rate: Fraction, keys: Keys) -> Ragged:
    """A share `rate` of the rows begins at a uniform place, what stood before it at the end."""
    values = np.empty_like(sources.values)
    _rotate(sources.values, sources.offsets, (rate.numerator, rate.denominator), keys, values)
    return Ragged(values, sources.offsets)


@kernel
def _choose_raw(
    sources: NDArray[np.int32],
    offsets: NDArray[np.int64],
    wanted: NDArray[np.int64],
    keys: Keys,
    purpose: int,
) -> NDArray[np.bool_]:
    """Choose raw tokens, every set of as many equally likely: bool, one for each source.

    Algorithm S; counter p of sub-key `purpose` decides on place p.
    """
    chosen = np.zeros(len(sources), np.bool_)
    for row in range(len(keys)):
        key = draw(keys[row], purpose)
        left = 0
        for i in range(offsets[row], offsets[row + 1]):
            left += sources[i] >= 0
        missing = min(left, wanted[row])
        for i in range(offsets[row], offsets[row + 1]):
            if missing == 0:
                break
            if sources[i] < 0:
                continue
            if integer_below(left, key, i - offsets[row]) < missing:
                chosen[i] = True
                missing -= 1
            left -= 1
    return chosen


@bare_kernel
def _replace(
    sources: NDArray[np.int32], offsets: NDArray[np.int64], share: tuple[int, int], keys: Keys
) -> None:
    """In place; counter p decides on the mask token at place p."""
    for row in range(len(keys)):
        key = draw(keys[row], REPLACED)
        for i in range(offsets[row], offsets[row + 1]):
            if sources[i] == MASK_TOKEN and bernoulli(share[0], share[1], key, i - offsets[row]):
                sources[i] = RANDOM_TOKEN


@bare_kernel
def _insert(
    sources: NDArray[np.int32],
    offsets: NDArray[np.int64],
    keys: Keys,
    out: NDArray[np.int32],
    out_offsets: NDArray[np.int64],
) -> None:
    """Which places of the longer row hold what is new: algorithm S, counter p for place p."""
    for row in range(len(keys)):
        key = draw(keys[row], INSERTED)
        places = out_offsets[row + 1] - out_offsets[row]
        missing = places - (offsets[row + 1] - offsets[row])
        i = offsets[row]
        for place in range(places):
            if integer_below(places - place, key, place) < missing:
                out[out_offsets[row] + place] = RANDOM_TOKEN
                missing -= 1
            else:
                out[out_offsets[row] + place] = sources[i]
                i += 1


@bare_kernel
def _rotate(
    sources: NDArray[np.int32],
    offsets: NDArray[np.int64],
    rate: tuple[int, int],
    keys: Keys,
    out: NDArray[np.int32],
) -> None:
    """Counter 0 decides whether a row is rotated, counter 1 where it begins."""
    for row in range(len(keys)):
        start, stop = offsets[row], offsets[row + 1]
        key = draw(keys[row], BEGINNING)
        first = 0
        if stop > start and bernoulli(rate[0], rate[1], key, 0):
            first = integer_below(stop - start, key, 1)
        for i in range(start + first, stop):
            out[i - first] = sources[i]
        for i in range(start, start + first):
            out[i + (stop - start - first)] = sources[i]
