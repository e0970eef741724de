"""The laws of t5, ul2 and bart in plain words, one row at a time."""

from __future__ import annotations

from fractions import Fraction
from itertools import groupby, pairwise
from math import ceil

from tests.test_keyed_random import spec_below, spec_draw


def wanted(length, rate):
    return max(1, round(rate * length))  # Fraction rounds half to even


def noise_and_spans(length, density, mean):
    """Counts for random spans; a mean of 0 makes one span."""
    if length < 2:
        return length, length
    noise = min(max(round(density * length), 1), length - 1)
    spans = max(1, round(Fraction(noise, mean))) if mean else 1
    return noise, min(spans, noise, length - noise)


def choose(candidates, k, key, counter):
    """k of the candidates (or all), in order; counter(c) is the counter of candidate c."""
    chosen = []
    for n, candidate in enumerate(candidates):
        missing = min(k, len(candidates)) - len(chosen)
        if missing and spec_below(len(candidates) - n, key, counter(candidate)) < missing:
            chosen.append(candidate)
    return chosen


def compose(total, parts, key):
    cuts = choose(range(1, total), parts - 1, key, lambda place: place)
    return [stop - start for start, stop in pairwise([0, *cuts, total])]


def first_place(runs, places, key):
    """Where the row begins; runs are pairs (start, stop)."""
    place = spec_below(places, key, 0)
    for start, stop in runs:
        if start < place < stop:
            return start if spec_below(2, key, 1) < 1 else stop % places
    return place


def span_mask(length, noise, spans, rotated, key):
    if length == 0:
        return []
    lengths = compose(noise, spans, spec_draw(key, 0))
    gaps = compose(length - noise, spans, spec_draw(key, 1))
    mask, runs = [], []
    for gap, run in zip(gaps, lengths, strict=True):
        runs.append((len(mask) + gap, len(mask) + gap + run))
        mask += [False] * gap + [True] * run
    first = first_place(runs, length, spec_draw(key, 2)) if rotated else 0
    return mask[first:] + mask[:first]


def token_mask(length, density, key):
    chosen = choose(range(length), wanted(length, density), key, lambda token: 3 * token)
    return [token in chosen for token in range(length)]


def limited(mask, most, key):
    """The mask less the runs that there are too many of."""
    groups = [(noisy, len(list(group))) for noisy, group in groupby(mask)]
    runs = [i for i, (noisy, _) in enumerate(groups) if noisy]
    kept = runs
    if len(runs) > most:
        kept = [runs[i] for i in choose(range(len(runs)), most, key, lambda run: 3 * run + 1)]
    return [i in kept for i, (_, size) in enumerate(groups) for _ in range(size)]


def splice(row, mask, sentinels, end, *, final=False, lead=()):
    inputs, targets, names = list(lead), [], iter(sentinels)
    position = 0
    for noisy, group in groupby(mask):
        tokens = row[position : position + len(list(group))]
        position += len(tokens)
        if noisy:
            name = next(names)
            inputs.append(name)
            targets += [name, *tokens]
        else:
            inputs += tokens
    return [*inputs, end], [*targets, *([next(names)] if final else []), end]


def hide(row, mask, mask_token, random_share, pool, key):
    out = list(row)
    for t, hidden in enumerate(mask):
        if hidden and spec_below(random_share.denominator, key, 3 * t + 1) < random_share.numerator:
            out[t] = int(pool[spec_below(len(pool), key, 3 * t + 2)])
        elif hidden:
            out[t] = mask_token
    return out


def shuffled(row, key):
    out = list(row)
    for t in range(len(out) - 1, 0, -1):
        other = spec_below(t + 1, key, t)
        out[t], out[other] = out[other], out[t]
    return out


def prefix_length(length, density, key):
    if length < 2:
        return 0
    shortest = max(1, round((1 - 2 * density) * (length - 1)))
    longest = max(1, min(length - 1, round(2 * (1 - density) * (length - 1))))
    return shortest + spec_below(longest - shortest + 1, key, 0)


# BART: places hold raw positions, or one of these.
MASK, RANDOM = "mask", "random"


def permuted(places, starts, rate, key):
    bounds = [0, *starts, len(places)]
    sentences = [places[a:b] for a, b in pairwise(bounds)]
    moving = choose(
        range(len(sentences)), ceil(rate * len(sentences)), spec_draw(key, 0), lambda s: s
    )
    order = list(range(len(sentences)))
    shuffle = spec_draw(key, 1)
    for i in range(len(moving) - 1, 0, -1):
        a, b = moving[i], moving[spec_below(i + 1, shuffle, i)]
        order[a], order[b] = order[b], order[a]
    return [place for sentence in order for place in sentences[sentence]]


def words_of(places, word_start):
    words = []
    for i, place in enumerate(places):
        if i == 0 or word_start[place] or place != places[i - 1] + 1:
            words.append([])
        words[-1].append(place)
    return words


def drawn_spans(hidden, law, key):
    """Lengths of spans with words, and how many have none."""
    lengths, draws = [], 0
    while sum(lengths) < hidden:
        value = spec_below(int(law[-1]), key, draws)
        length = sum(value >= threshold for threshold in law.tolist())
        draws += 1
        if length:
            lengths.append(min(length, hidden - sum(lengths)))
    return lengths, draws - len(lengths)


def infilled(places, word_start, rate, law, key):
    words = words_of(places, word_start)
    hidden = ceil(rate * len(words))
    lengths, empty = drawn_spans(hidden, law, spec_draw(key, 2))
    items = len(words) - hidden + len(lengths)
    chosen = choose(range(items), len(lengths), spec_draw(key, 3), lambda item: item)
    runs, word, todo = [], 0, list(lengths)
    for item in range(items):
        size = todo.pop(0) if item in chosen else 1
        if item in chosen:
            runs.append((word, word + size))
        word += size
    first = first_place(runs, len(words), spec_draw(key, 4)) if runs else 0
    spans = {(start - first) % len(words): stop - start for start, stop in runs}
    out, word = [], 0
    while word < len(words):
        out.append([MASK] if word in spans else words[word])
        word += spans.get(word, 1)
    saved = len(places) - sum(len(item) for item in out)
    empty = min(empty, saved)
    at = choose(range(len(out) + empty), empty, spec_draw(key, 5), lambda place: place)
    for place in at:
        out.insert(place, [MASK])
    return [place for item in out for place in item]


def chosen_raw(places, k, key):
    return choose([p for p, s in enumerate(places) if isinstance(s, int)], k, key, lambda p: p)


def bart(row, word_start, starts, settings, law, pool, specials, key):
    """Inputs, and the raw positions that they do not hold any more."""
    begin, end, mask_token = specials
    places = list(range(len(row)))
    if settings.permute_rate:
        places = permuted(places, starts, settings.permute_rate, key)
    if settings.infill_rate:
        places = infilled(places, word_start, settings.infill_rate, law, key)
    if settings.mask_rate:
        hit = chosen_raw(places, wanted(len(row), settings.mask_rate), spec_draw(key, 6))
        places = [MASK if p in hit else s for p, s in enumerate(places)]
    if settings.delete_rate:
        hit = chosen_raw(places, wanted(len(row), settings.delete_rate), spec_draw(key, 7))
        places = [s for p, s in enumerate(places) if p not in hit]
    if share := settings.random_share:
        replacing = spec_draw(key, 8)
        places = [
            RANDOM
            if s == MASK and spec_below(share.denominator, replacing, p) < share.numerator
            else s
            for p, s in enumerate(places)
        ]
    if settings.insert_rate:
        more = wanted(len(row), settings.insert_rate)
        new = choose(range(len(places) + more), more, spec_draw(key, 9), lambda p: p)
        for p in new:
            places.insert(p, RANDOM)
    if (rate := settings.rotate_rate) and places:
        turned = spec_draw(key, 10)
        if spec_below(rate.denominator, turned, 0) < rate.numerator:
            first = spec_below(len(places), turned, 1)
            places = places[first:] + places[:first]
    drawing = spec_draw(key, 11)
    ids = [
        mask_token
        if s == MASK
        else int(pool[spec_below(len(pool), drawing, p)])
        if s == RANDOM
        else row[s]
        for p, s in enumerate(places)
    ]
    return [begin, *ids, end], [t for t in range(len(row)) if t not in places]
