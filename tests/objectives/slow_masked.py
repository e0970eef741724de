"""Masked objectives in plain words: slow, one row at a time, from the written law of each draw."""

from __future__ import annotations

import math
from fractions import Fraction

from masked_examples import wanted, words_in

from tests.test_keyed_random import spec_below


def cumulative(weights):
    """(total, borders): how many of `total` integers mean a number up to 1, 2, 3, ..."""
    upto = [sum(weights[:n], Fraction(0)) / sum(weights) for n in range(1, len(weights) + 1)]
    exact = math.lcm(*(share.denominator for share in upto))
    total = exact if exact < 2**32 else 2**31
    return total, [round(share * total) for share in upto]


def reciprocals(largest):
    return [Fraction(1, n) for n in range(1, largest + 1)]


def geometric(p, largest):
    return [p * (1 - p) ** (n - 1) for n in range(1, largest + 1)]


def slow_runs(words, k, law, key, *, through_chosen):
    """Numbers of the chosen words of one row, in the order they were chosen.

    Args:
        words: (first, end, run) of each word.
        law: (total, cumulative) of the number of words.
    """
    free, chosen, too_long, counter, left = list(range(len(words))), [], [], 0, k
    sizes = [end - first for first, end, _ in words]
    while free and left:
        at = spec_below(len(free), key, counter)
        start, counter = free[at], counter + 3
        if sizes[start] > left:
            too_long.append(start)
            _take_out(free, start)
            continue
        total, upto = law
        value, counter = spec_below(total, key, counter), counter + 3
        n = 1 + sum(value >= border for border in upto)
        for w in range(start, min(start + n, len(words))):
            if words[w][2] != words[start][2]:
                break  # behind a special token
            if w in chosen:
                if through_chosen:
                    continue
                break
            if sizes[w] > left:
                break
            chosen.append(w)
            left -= sizes[w]
            _take_out(free, w)
    if not chosen and too_long:
        chosen.append(min(too_long, key=lambda w: sizes[w]))  # the first of the shortest
    return chosen


def _take_out(free, word):
    at = free.index(word)
    free[at] = free[-1]
    free.pop()


def slow_tokens(candidates, k, key):
    """Each k-subset of the candidate positions equally likely: selection sampling."""
    chosen, missing = [], min(k, len(candidates))
    for n, t in enumerate(candidates):
        if missing and spec_below(len(candidates) - n, key, 3 * t) < missing:
            chosen.append(t)
            missing -= 1
    return chosen


def slow_ngram(words, length, ngram_max, key):
    """Numbers of the words of InfoWord's n-gram: n, then its place."""
    runs = [sum(word[2] == run for word in words) for run in {word[2] for word in words}]
    n = min(1 + spec_below(ngram_max, key, 3 * length), max(runs, default=0), len(words) - 1)
    if n < 1:
        return []
    places = [
        list(range(w, w + n))
        for w in range(len(words) - n + 1)
        if words[w][2] == words[w + n - 1][2]
    ]
    return places[spec_below(len(places), key, 3 * (length + 1))]


def slow_treat(row, units, hidden, settings, vocabulary, key):
    """One treatment for each unit (a list of positions), and always the mask for the hidden ones.

    Returns the corrupted row, the positions, and the original ids there.
    """
    out, pool = list(row), vocabulary.replacements
    whole = math.lcm(settings.mask_share.denominator, settings.random_share.denominator)
    for unit in units:
        treatment = Fraction(spec_below(whole, key, 3 * unit[0] + 1), whole)
        for t in unit:
            if treatment < settings.mask_share:
                out[t] = vocabulary.mask
            elif treatment < settings.mask_share + settings.random_share:
                out[t] = int(pool[spec_below(len(pool), key, 3 * t + 2)])
    for t in hidden:
        out[t] = vocabulary.mask
    positions = sorted([t for unit in units for t in unit] + hidden)
    return out, positions, [row[t] for t in positions]


def merged(positions):
    """Neighbouring positions as one unit."""
    units = []
    for t in sorted(positions):
        if units and units[-1][-1] == t - 1:
            units[-1].append(t)
        else:
            units.append([t])
    return units


def slow_corrupt(name, sequences, settings, vocabulary, keys):
    """Every row of a masked objective: (ids, positions, labels, spans as (start, length))."""
    rows = []
    for row, (words, key) in enumerate(zip(words_in(sequences), keys.tolist(), strict=True)):
        start, stop = sequences.offsets[row : row + 2].tolist()
        ids, k = sequences.ids[start:stop].tolist(), wanted(settings, stop - start)
        candidates = [t for first, end, _ in words for t in range(first, end)]
        hidden, spans = [], []
        if name == "mlm":
            units = [[t] for t in slow_tokens(candidates, k, key)]
        elif name == "infoword":
            ngram = slow_ngram(words, stop - start, settings.ngram_max, key)
            hidden = [t for w in ngram for t in range(*words[w][:2])]
            outside = [t for t in candidates if t not in hidden]
            units = [[t] for t in slow_tokens(outside, k, key)]
            spans = [(hidden[0], len(hidden))] if hidden else []
        else:
            law = cumulative(_weights(name, settings))
            chosen = slow_runs(words, k, law, key, through_chosen=name == "span")
            units = [list(range(*words[w][:2])) for w in chosen]
            if name == "span":
                units = merged(t for unit in units for t in unit)
                spans = [(unit[0], len(unit)) for unit in units]
        rows.append((*slow_treat(ids, units, hidden, settings, vocabulary, key), spans))
    return rows


def _weights(name, settings):
    if name == "span":
        return geometric(settings.span_p, settings.span_max)
    return reciprocals(1 if name == "whole-word" else settings.ngram_max)
