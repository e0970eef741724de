"""Choosing words, or runs of words, within an exact number of tokens; no word is ever cut.

A word is a run of maskable tokens: it begins at a word start or behind a special token and ends
before the next. Two words are neighbours when no special token stands between them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Sequences
from lmprep.jit import bare_kernel, kernel
from lmprep.keyed_random import Keys, integer_below
from lmprep.objectives.integer_laws import Law, number_from
from lmprep.objectives.masking import DRAWS, FIRST, NEXT, UNCHOSEN, Marks

_SCRATCH = 4


def choose_runs(
    sequences: Sequences,
    wanted: NDArray[np.int64],
    law: Law,
    keys: Keys,
    marks: Marks,
    *,
    through_chosen: bool,
) -> None:
    """Mark runs of neighbouring words, of up to `wanted` (int64 [N]) tokens in each row.

    Again and again a start word is drawn uniformly from the words that are neither chosen nor
    found too long, then a number n of words under `law`. The run is the start word and the n - 1
    to its right, shortened to the words that fit into what is left and to those before the next
    special token; a chosen word ends it too, or, with `through_chosen`, is passed over: it counts
    in n and costs nothing. A start word that does not fit is found too long: the number left only
    falls. A row in which no word fits gets its shortest (of several, each equally likely) whole.

    Each word chosen becomes a unit. Draw number d of a row, from 0, has counter 3d.
    """
    longest = int(np.diff(sequences.offsets).max(initial=0))
    _choose(
        sequences.word_start,
        sequences.maskable,
        sequences.offsets,
        keys,
        wanted,
        law,
        through_chosen,
        np.empty((_SCRATCH, longest), np.int64),
        marks,
    )


@bare_kernel
def words_of(
    word_start: NDArray[np.bool_],
    maskable: NDArray[np.bool_],
    start: int,
    stop: int,
    firsts: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> int:
    """Find the words among the tokens start to stop - 1: word w is firsts[w] to ends[w] - 1.

    Returns:
        How many there are; `firsts` and `ends` are filled so far.
    """
    words = 0
    inside = False  # token i - 1 belongs to a word
    for i in range(start, stop):
        if maskable[i]:
            if word_start[i] or not inside:
                firsts[words] = i
                words += 1
            ends[words - 1] = i + 1
        inside = maskable[i]
    return words


@kernel
def _choose(
    word_start: NDArray[np.bool_],
    maskable: NDArray[np.bool_],
    offsets: NDArray[np.int64],
    keys: Keys,
    wanted: NDArray[np.int64],
    law: Law,
    through_chosen: bool,
    scratch: NDArray[np.int64],
    marks: Marks,
) -> None:
    firsts, ends, free, place = scratch
    for row in range(len(keys)):
        words = words_of(word_start, maskable, offsets[row], offsets[row + 1], firsts, ends)
        for word in range(words):
            free[word] = place[word] = word
        _choose_in_row(
            firsts[:words],
            ends[:words],
            free,
            place,
            keys[row],
            wanted[row],
            law,
            through_chosen,
            marks,
        )


@bare_kernel
def _choose_in_row(
    firsts: NDArray[np.int64],
    ends: NDArray[np.int64],
    free: NDArray[np.int64],
    place: NDArray[np.int64],
    key: np.uint64,
    wanted: int,
    law: Law,
    through_chosen: bool,
    marks: Marks,
) -> None:
    """Choose in one row. `free` holds the words to draw from, `place` where in it each stands."""
    words = left = len(firsts)
    budget, counter, shortest = wanted, 0, -1
    while left > 0 and budget > 0:
        word = free[integer_below(left, key, counter)]
        counter += DRAWS
        if ends[word] - firsts[word] > budget:
            if shortest < 0 or ends[word] - firsts[word] < ends[shortest] - firsts[shortest]:
                shortest = word
            left = _remove(word, free, place, left)
            continue
        last = min(words, word + number_from(law, key, counter)) - 1
        counter += DRAWS
        for w in range(word, last + 1):
            if w > word and firsts[w] != ends[w - 1]:
                break
            if marks[firsts[w]] != UNCHOSEN:
                if through_chosen:
                    continue
                break
            if ends[w] - firsts[w] > budget:
                break
            _mark(firsts[w], ends[w], marks)
            budget -= ends[w] - firsts[w]
            left = _remove(w, free, place, left)
    if budget == wanted and shortest >= 0:
        _mark(firsts[shortest], ends[shortest], marks)


@bare_kernel
def _remove(word: int, free: NDArray[np.int64], place: NDArray[np.int64], left: int) -> int:
    """Take a word out of the first `left` of `free`; the last of them moves to its place."""
    last = free[left - 1]
    free[place[word]] = last
    place[last] = place[word]
    return left - 1


@bare_kernel
def _mark(first: int, end: int, marks: Marks) -> None:
    marks[first] = FIRST
    for i in range(first + 1, end):
        marks[i] = NEXT
