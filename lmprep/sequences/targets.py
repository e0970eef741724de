"""How long a sequence aims to be: as long as fits or, rarely, a random shorter length.

BERT's code draws a target for `short_sequence_probability` of the chunks, uniform from 2 tokens of
text to the room there is; ELECTRA's code (5 to the length, three special tokens counted) has the
same law. Here every chunk of a pair and every window draws its own; packed windows always aim at
what fits.

Draws: chunk or window number n of the partition draws from draw(draw(key, UNITS), n). Counters 0
and 1 are the ones below; pairs and segments go on from 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel, inline_kernel
from lmprep.keyed_random import bernoulli, draw, integer_below
from lmprep.settings import SequenceSettings

# What the partition's key is divided among; only NSP balances.
UNITS, BALANCE = range(2)
# Counters of the draws of a chunk or a window.
IS_SHORT, SHORT_TARGET = range(2)

Law = tuple[int, int, int]
"""Room for text, in tokens; in `short` of `whole` cases a target is drawn: (room, short, whole)."""


def law_of(room: int, settings: SequenceSettings) -> Law:
    """The law of targets for units with this room."""
    share = settings.short_sequence_probability
    return room, share.numerator, share.denominator


def sub_key(key: np.uint64, number: int) -> np.uint64:
    """The key of sub-unit `number`: `UNITS` (whose sub-unit n is unit n) or `BALANCE`."""
    return np.uint64(draw(key, number))  # back in Python a compiled function's result is an int


def window_targets(
    rooms: NDArray[np.int64], settings: SequenceSettings, key: np.uint64
) -> NDArray[np.int64]:
    """Tokens of text at which windows with these rooms (2 at least) are long enough, int64 [N]."""
    share = settings.short_sequence_probability
    if not share or settings.sequences == "packed":
        return rooms
    targets = np.empty(len(rooms), np.int64)
    _draw_targets(rooms, share.numerator, share.denominator, sub_key(key, UNITS), targets)
    return targets


@bare_kernel
def _draw_targets(
    rooms: NDArray[np.int64], short: int, whole: int, key: np.uint64, targets: NDArray[np.int64]
) -> None:
    for window in range(len(rooms)):
        targets[window] = target_length((rooms[window], short, whole), draw(key, window))


@inline_kernel
def target_length(law: Law, key: np.uint64) -> int:
    """Tokens of text at which a unit with this key is long enough."""
    room, short, whole = law
    if bernoulli(short, whole, key, IS_SHORT):
        return 2 + integer_below(room - 1, key, SHORT_TARGET)
    return room
