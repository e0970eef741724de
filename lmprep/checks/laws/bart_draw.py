"""BART's noise drawn anew, by another implementation of the same law.

The law, in this order, as the objective states it. Sentences: ceil(rate n) of n are shuffled among
their places. Infilling: Poisson lengths until ceil(rate n) words are covered, the last cut; spans
of words stand in any arrangement, turned by a uniform place moved out of a span; spans of no word
add a mask anywhere, as long as the row does not grow. Then exact numbers of tokens are masked and
deleted, masks become random tokens, random tokens are inserted, and rows turned.

A *line* is a row as sources: int64, raw positions, `MASK` or `RANDOM`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import kernel
from lmprep.keyed_random import Keys, draw, integer_below

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

MASK, RANDOM = -1, -2

_PERMUTE, _INFILL, _MASK, _DELETE, _REPLACE, _INSERT, _TURN = range(7)
_UNIT = 2.0**-53


@kernel
def damage(
    offsets: Places,
    word_start: Flags,
    sentence_starts: Places,
    sentence_offsets: Places,
    shares: Places,
    poisson: NDArray[np.float64],
    keys: Keys,
    out_offsets: Places,
    out: Places,
    sizes: Places,
) -> None:
    """Write the line of each row; row r draws only from keys[r].

    Args:
        offsets: int64 [N + 1], of the raw rows; word_start: bool [T].
        sentence_starts, sentence_offsets: ragged, N rows: where sentences but the first begin.
        shares: int64 [7, 2], the rates in the order of the transformations.
        poisson: float64, cumulative probabilities of 0, 1, 2, ...
        out_offsets: int64 [N + 1], where in `out` there is room for each line.
        sizes: int64 [N], out: how much of it is used.
    """
    for row in range(len(keys)):
        length = offsets[row + 1] - offsets[row]
        key = keys[row]
        bounds = sentence_starts[sentence_offsets[row] : sentence_offsets[row + 1]]
        line = _permuted(length, bounds, shares[_PERMUTE], draw(key, _PERMUTE))
        if shares[_INFILL, 0] > 0:
            words = _words(line, word_start[offsets[row] : offsets[row + 1]])
            line = _infilled(line, words, shares[_INFILL], poisson, draw(key, _INFILL))
        chosen = _some_raw(line, _exact_share(shares[_MASK], length), draw(key, _MASK))
        for i in range(len(line)):
            line[i] = MASK if chosen[i] else line[i]
        chosen = _some_raw(line, _exact_share(shares[_DELETE], length), draw(key, _DELETE))
        line = _without(line, chosen)
        for i in range(len(line)):
            share = integer_below(shares[_REPLACE, 1], draw(key, _REPLACE), i)
            if line[i] == MASK and share < shares[_REPLACE, 0]:
                line[i] = RANDOM
        line = _with_more(line, _exact_share(shares[_INSERT], length), RANDOM, draw(key, _INSERT))
        turn, first = draw(key, _TURN), 0
        if len(line) > 0 and integer_below(shares[_TURN, 1], turn, 0) < shares[_TURN, 0]:
            first = integer_below(len(line), turn, 1)
        sizes[row] = len(line)
        for i in range(len(line)):
            out[out_offsets[row] + i] = line[(first + i) % len(line)]


@kernel
def _ceil_share(share: Places, things: int) -> int:
    return (things * share[0] + share[1] - 1) // share[1]  # type: ignore[no-any-return]


@kernel
def _exact_share(share: Places, things: int) -> int:
    """max(1, round half to even), 0 for a rate of 0."""
    if share[0] == 0:
        return 0
    whole, rest = things * share[0] // share[1], things * share[0] % share[1]
    if 2 * rest > share[1] or (2 * rest == share[1] and whole % 2 == 1):
        whole += 1
    return max(1, whole)  # type: ignore[no-any-return]


@kernel
def _some(things: int, wanted: int, key: np.uint64) -> Flags:
    """Which of so many things are chosen, every set of `wanted` equally likely: bool [things]."""
    order = np.arange(things)
    chosen = np.zeros(things, np.bool_)
    for i in range(wanted):
        other = i + integer_below(things - i, key, i)
        order[i], order[other] = order[other], order[i]
        chosen[order[i]] = True
    return chosen


@kernel
def _some_raw(line: Places, wanted: int, key: np.uint64) -> Flags:
    """Which raw tokens of a line are chosen, `wanted` or all there are: bool, as long as it."""
    raw = 0
    for source in line:
        raw += source >= 0
    chosen = _some(raw, min(raw, wanted), key)
    flags = np.zeros(len(line), np.bool_)
    seen = 0
    for i in range(len(line)):
        if line[i] >= 0:
            flags[i] = chosen[seen]
            seen += 1
    return flags


@kernel
def _without(line: Places, gone: Flags) -> Places:
    """The line less some of its sources."""
    shorter = np.empty(len(line), np.int64)
    to = 0
    for i in range(len(line)):
        if not gone[i]:
            shorter[to] = line[i]
            to += 1
    return shorter[:to]


@kernel
def _with_more(line: Places, count: int, source: int, key: np.uint64) -> Places:
    """The line with so many new sources at uniform places."""
    added = _some(len(line) + count, count, key)
    longer = np.empty(len(added), np.int64)
    old = 0
    for i in range(len(added)):
        if added[i]:
            longer[i] = source
        else:
            longer[i] = line[old]
            old += 1
    return longer


@kernel
def _permuted(length: int, bounds: Places, share: Places, key: np.uint64) -> Places:
    """The positions 0 to length - 1, sentences in their new order."""
    sentences = len(bounds) + 1
    drawn = np.arange(sentences)
    moves = np.zeros(sentences, np.bool_)
    for i in range(_ceil_share(share, sentences)):
        other = i + integer_below(sentences - i, key, i)
        drawn[i], drawn[other] = drawn[other], drawn[i]
        moves[drawn[i]] = True
    line = np.empty(length, np.int64)
    to = moved = 0
    for place in range(sentences):
        sentence = drawn[moved] if moves[place] else place
        moved += moves[place]
        begin = bounds[sentence - 1] if sentence > 0 else 0
        end = bounds[sentence] if sentence < len(bounds) else length
        for source in range(begin, end):
            line[to] = source
            to += 1
    return line


@kernel
def _words(line: Places, word_start: Flags) -> Places:
    """Which word of the line each of its sources is of; neighbours that were none part words."""
    words = np.zeros(len(line), np.int64)
    for i in range(1, len(line)):
        new = word_start[line[i]] or line[i] != line[i - 1] + 1
        words[i] = words[i - 1] + new
    return words


@kernel
def _infilled(
    line: Places, words: Places, share: Places, poisson: NDArray[np.float64], key: np.uint64
) -> Places:
    """The line with spans of words under a mask each, and masks for spans of none."""
    count = words[-1] + 1 if len(line) > 0 else 0
    wanted = _ceil_share(share, count)
    lengths, lengths_key = np.empty(wanted, np.int64), draw(key, 0)
    spans = empty = covered = 0
    while covered < wanted:
        uniform = _UNIT * (draw(lengths_key, spans + empty) >> np.uint64(11))
        size = 0
        while poisson[size] <= uniform:
            size += 1
        if size == 0:
            empty += 1
            continue
        lengths[spans] = min(size, wanted - covered)
        covered += lengths[spans]
        spans += 1
    under = _arranged(count, lengths[:spans], count - wanted, draw(key, 1))
    shorter = np.empty(len(line), np.int64)
    to, before = 0, -1
    for i in range(len(line)):
        span = under[words[i]]
        if span < 0 or span != before:
            shorter[to] = line[i] if span < 0 else MASK
            to += 1
        before = span
    return _with_more(shorter[:to], min(empty, len(line) - to), MASK, draw(key, 2))


@kernel
def _arranged(words: int, lengths: Places, others: int, key: np.uint64) -> Places:
    """Which span covers each word, -1 for none: int64 [words]."""
    circle = np.full(words, -1, np.int64)
    is_span = _some(others + len(lengths), len(lengths), draw(key, 0))
    word, span = 0, 0
    for item in range(len(is_span)):
        if is_span[item]:
            circle[word : word + lengths[span]] = span
            word += lengths[span]
            span += 1
        else:
            word += 1
    first = integer_below(words, key, 1) if words > 0 else 0
    if first > 0 and circle[first] >= 0 and circle[first] == circle[first - 1]:
        own, step = circle[first], 1 if integer_below(2, key, 2) == 0 else -1
        while first < words and circle[first] == own and circle[first - 1] == own and first > 0:
            first += step
    turned = np.empty(words, np.int64)
    for i in range(words):
        turned[i] = circle[(first + i) % words]
    return turned
