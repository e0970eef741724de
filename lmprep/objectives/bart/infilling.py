"""Text infilling: spans of whole words, each replaced by a single mask token.

BART (arXiv:1910.13461), section 2.2. Lengths in words are drawn from a Poisson law until they cover
ceil(rate * words) words exactly, the last cut down to what is missing. The spans stand in any
arrangement with the words that remain, every one equally likely, without overlap; the row begins
at a uniform place of that circle, moved out of a span, so that its ends are hidden as often as its
middle. A span of no word inserts a mask token at a uniform place between words and masks. BART's
code lets spans overlap, and so hides fewer words than it counts.

Infilling never makes a row longer: spans of no word beyond the tokens that the others save are
left out (a few rows of one to three words; a Poisson mean of 1 and less also longer ones).
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel, kernel
from lmprep.keyed_random import Keys, draw, integer_below
from lmprep.objectives.bart.sources import ADDED, MASK_TOKEN, PLACES, ROTATION, SPANS
from lmprep.objectives.integer_laws import Law, law_of, number_from
from lmprep.objectives.rotation import first_place
from lmprep.ragged import Ragged

_NEGLIGIBLE = Fraction(1, 2**64)


@cache
def poisson_law(mean: Fraction) -> Law:
    """P(k) in proportion to mean^k / k!, as numbers from 1: k + 1. Rational arithmetic throughout.

    It ends where twice the last weight, more than all that follow, is below 2^-64 of the first.
    """
    weights = [Fraction(1)]
    while len(weights) <= 2 * mean or weights[-1] >= _NEGLIGIBLE / 2:
        weights.append(mean ** len(weights) / factorial(len(weights)))
    return law_of(weights)


def infill(
    sources: Ragged,
    word_start: NDArray[np.bool_],
    rate: Fraction,
    mean: Fraction,
    keys: Keys,
) -> Ragged:
    """Replace spans of words.

    Args:
        sources: whole rows, their sentences in any order.
        word_start: bool [T], of the raw tokens; a word also begins with a row and wherever two
            neighbours were not neighbours before.
        rate: share of the words covered by spans.
        mean: of the Poisson law.
    """
    out, offsets = np.empty_like(sources.values), np.zeros_like(sources.offsets)
    longest = int(sources.lengths.max(initial=0))
    _infill(
        sources.values,
        sources.offsets,
        word_start,
        (rate.numerator, rate.denominator),
        poisson_law(mean),
        keys,
        np.empty((4, longest + 1), np.int64),
        out,
        offsets,
    )
    return Ragged(out[: offsets[-1]], offsets)


@kernel
def _infill(
    sources: NDArray[np.int32],
    offsets: NDArray[np.int64],
    word_start: NDArray[np.bool_],
    rate: tuple[int, int],
    law: Law,
    keys: Keys,
    scratch: NDArray[np.int64],
    out: NDArray[np.int32],
    out_offsets: NDArray[np.int64],
) -> None:
    firsts, lengths, starts, covers = scratch
    for row in range(len(keys)):
        start, stop = offsets[row], offsets[row + 1]
        words = _find_words(sources[start:stop], word_start[start:stop], firsts)
        hidden = (words * rate[0] + rate[1] - 1) // rate[1]
        spans, empty = _draw_spans(hidden, law, draw(keys[row], SPANS), lengths)
        _place_spans(words, words - hidden, spans, lengths, keys[row], starts)
        covers[:words] = 0
        saved = -spans
        for span in range(spans):
            covers[starts[span]] = lengths[span]
            saved += firsts[starts[span] + lengths[span]] - firsts[starts[span]]
        out_offsets[row + 1] = _write(
            sources[start:stop],
            firsts,
            covers,
            words - hidden + spans,
            min(empty, saved),
            draw(keys[row], ADDED),
            out,
            out_offsets[row],
        )


@bare_kernel
def _find_words(
    sources: NDArray[np.int32], word_start: NDArray[np.bool_], firsts: NDArray[np.int64]
) -> int:
    """Where the words of one row begin; behind the last, its length. Returns how many there are."""
    words = 0
    for i in range(len(sources)):
        if word_start[sources[i]] or i == 0 or sources[i] != sources[i - 1] + 1:
            firsts[words] = i
            words += 1
    firsts[words] = len(sources)
    return words


@bare_kernel
def _draw_spans(
    hidden: int, law: Law, key: np.uint64, lengths: NDArray[np.int64]
) -> tuple[int, int]:
    """Draw lengths until they cover `hidden` words; how many have words, and how many none.

    Draw number d has counter d.
    """
    spans, empty, covered = 0, 0, 0
    while covered < hidden:
        length = number_from(law, key, spans + empty) - 1
        if length == 0:
            empty += 1
        else:
            lengths[spans] = min(length, hidden - covered)
            covered += lengths[spans]
            spans += 1
    return spans, empty


@bare_kernel
def _place_spans(
    words: int,
    others: int,
    spans: int,
    lengths: NDArray[np.int64],
    key: np.uint64,
    starts: NDArray[np.int64],
) -> None:
    """The word each span begins with: all arrangements with the other words equally likely."""
    if spans == 0:
        return
    places = draw(key, PLACES)
    word, span = 0, 0
    for item in range(others + spans):
        if integer_below(others + spans - item, places, item) < spans - span:
            starts[span] = word
            word += lengths[span]
            span += 1
        else:
            word += 1
    first = first_place(starts, lengths, spans, words, draw(key, ROTATION))
    for i in range(spans):
        starts[i] = (starts[i] - first) % words


@bare_kernel
def _write(
    sources: NDArray[np.int32],
    firsts: NDArray[np.int64],
    covers: NDArray[np.int64],
    items: int,
    added: int,
    key: np.uint64,
    out: NDArray[np.int32],
    to: int,
) -> int:
    """Write one row of `items` words and spans, and `added` masks at uniform places among them.

    covers[w] is how many words the span that begins with word w covers, 0 where none begins.
    Returns the place behind the row.
    """
    word, missing = 0, added
    for place in range(items + added):
        if missing > 0 and integer_below(items + added - place, key, place) < missing:
            out[to] = MASK_TOKEN
            to, missing = to + 1, missing - 1
        elif covers[word] > 0:
            out[to] = MASK_TOKEN
            to, word = to + 1, word + covers[word]
        else:
            for i in range(firsts[word], firsts[word + 1]):
                out[to] = sources[i]
                to += 1
            word += 1
    return to
