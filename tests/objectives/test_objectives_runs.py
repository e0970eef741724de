"""N-gram and span masking: the laws of length, merged spans and their boundaries."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from masked_examples import (
    LARGE,
    corrupted,
    flat_positions,
    lists,
    of_words,
    repeated,
    settings_for,
    worded,
    words_in,
)
from slow_masked import geometric, merged, reciprocals

from lmprep.objective_settings import FORMS, NgramSettings, SpanSettings
from tests.strategies import BERT, seeds


def test_a_span_has_one_treatment():
    # Two spans of two words: the first masked, the second two random words.
    row = [2, *([i] for i in range(10, 30)), 3]
    sequences = repeated(row, 20_000)
    columns = corrupted("span", sequences, SpanSettings(mask_rate=Fraction(4, 22), span_max=2))
    two = [
        (starts, ids[starts[0] : starts[0] + 2], ids[starts[1] : starts[1] + 2])
        for starts, lengths, ids in zip(
            lists(columns, "span_starts"),
            lists(columns, "span_lengths"),
            lists(columns, "input_ids"),
            strict=True,
        )
        if lengths == [2, 2]
    ]
    mixed = [b for _, a, b in two if a == [4, 4] and not {4, *range(10, 30)} & set(b)]

    assert len(two) > 3000
    assert all((4 in span) == (span == [4, 4]) for _, *spans in two for span in spans)
    assert mixed
    assert all(5 <= i < BERT.size for second in mixed for i in second)


def span_at(words, start, length, rate):
    """The columns of a row of one-token words in which just this span was drawn."""
    settings = SpanSettings(mask_rate=rate)
    sequences = of_words([[2, *([i] for i in words), 3]])
    for seed in range(10_000):
        columns = corrupted("span", sequences, settings, seed=seed)
        if lists(columns, "span_starts") == [[start]]:
            assert lists(columns, "span_lengths") == [[length]]
            return columns
    raise AssertionError("never drawn")


def test_the_boundaries_of_a_span_are_the_tokens_beside_it():
    # x1 to x12 stand at 1 to 12; the span is x5 to x8.
    columns = span_at(range(11, 23), 5, 4, Fraction(4, 14))
    ids, start, length = columns["input_ids"][0], 5, 4
    left, right = start - 1, start + length

    assert [int(ids[left]), int(ids[right])] == [14, 19]  # x4 and x9, as they were
    x7 = lists(columns, "masked_positions")[0].index(7)
    assert lists(columns, "masked_labels")[0][x7] == 17
    assert lists(columns, "masked_positions")[0][x7] - start + 1 == 3  # its place p3 in the span


def test_special_tokens_may_be_boundaries():
    first = span_at(range(11, 19), 1, 3, Fraction(3, 10))
    last = span_at(range(11, 19), 6, 3, Fraction(3, 10))

    assert first["input_ids"].values[0] == BERT.cls
    assert last["input_ids"].values[6 + 3] == BERT.sep


@given(worded(), settings_for("span"), seeds)
def test_merged_spans_are_the_masked_positions_and_never_touch(sequences, settings, seed):
    columns = corrupted("span", sequences, settings, seed=seed)
    starts, lengths = lists(columns, "span_starts"), lists(columns, "span_lengths")
    positions = lists(columns, "masked_positions")
    spans = [
        [list(range(s, s + n)) for s, n in zip(*row, strict=True)]
        for row in zip(starts, lengths, strict=True)
    ]

    assert columns["span_starts"].values.dtype == columns["span_lengths"].values.dtype == np.int32
    assert spans == [merged(row) for row in positions]
    for row, words in zip(spans, words_in(sequences), strict=True):
        firsts, ends = {a for a, _, _ in words}, {b for _, b, _ in words}
        assert all(span[0] in firsts and span[-1] + 1 in ends for span in row)


def runs_expected(weights, k):
    """The share of rows with 1, 2, ... runs when k words are used up and none is near another."""
    total = sum(weights)
    shares = {0: {0: Fraction(1)}}
    for left in range(1, k + 1):
        shares[left] = {}
        for n, weight in enumerate(weights, 1):
            for runs, share in shares[max(0, left - n)].items():
                more = shares[left].get(runs + 1, Fraction(0))
                shares[left][runs + 1] = more + share * weight / total
    return [float(shares[k].get(runs, 0)) for runs in range(1, k + 1)]


@pytest.mark.parametrize(
    ("name", "settings", "weights", "k"),
    [
        ("ngram", NgramSettings, reciprocals(3), 3),
        ("ngram", NgramSettings, reciprocals(3), 6),
        ("span", SpanSettings, geometric(Fraction(1, 5), 10), 10),
    ],
)
def test_runs_of_words_have_the_lengths_of_their_law(name, settings, weights, k):
    # 5000 words of one token: runs stand apart but in about one row of k * k * 2 / 5000.
    rows, words = 2000, 5000
    row = [2, *([5 + i % 900] for i in range(words)), 3]
    sequences = repeated(row, rows, LARGE)
    columns = corrupted(name, sequences, settings(mask_rate=Fraction(k, words + 2)), LARGE)
    runs = np.array([len(merged(p)) for p in lists(columns, "masked_positions")])
    found = np.bincount(runs, minlength=k + 1)[1:] / rows
    expected = np.array(runs_expected(weights, k))
    touching = 2 * k * k / words

    assert set(columns["masked_positions"].lengths) == {k}
    assert np.all(abs(found - expected) < 5 * np.sqrt(expected * (1 - expected) / rows) + touching)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ngram", NgramSettings(mask_rate=Fraction(2, 9), ngram_max=20)),
        ("span", SpanSettings(mask_rate=Fraction(2, 9), span_p=Fraction(1, 100), span_max=100)),
    ],
)
def test_runs_never_cross_a_special_token(name, settings):
    # Four words, each between special tokens: every two of them are chosen as often.
    columns = corrupted(name, repeated([2, [10], 3, [11], 3, [12], 3, [13], 3], 12_000), settings)
    pairs, counts = np.unique(
        columns["masked_labels"].values.reshape(-1, 2), axis=0, return_counts=True
    )

    assert len(pairs) == 6
    assert np.all(abs(counts - 2000) < 5 * np.sqrt(12_000 * 5 / 36))


def outcomes(words, k, weights, *, through_chosen):
    """How likely each set of words is to be chosen, by going through all draws: {set: share}."""
    sizes = [end - first for first, end, _ in words]
    found = Counter()

    def go(chosen, too_long, left, share):
        free = [w for w in range(len(words)) if w not in chosen | too_long]
        if chosen and not (free and left):
            found[chosen] += share
        elif not free:
            shortest = [w for w in too_long if sizes[w] == min(sizes)]
            for w in shortest:
                found[frozenset([w])] += share / len(shortest)
        else:
            for start in free:
                if sizes[start] > left:
                    go(chosen, too_long | {start}, left, share / len(free))
                    continue
                for n, weight in enumerate(weights, 1):
                    run = run_of(start, n, chosen, left)
                    rest = left - sum(sizes[w] for w in run)
                    go(chosen | run, too_long, rest, share / len(free) * weight / sum(weights))

    def run_of(start, n, chosen, left):
        run = set()
        for w in range(start, min(start + n, len(words))):
            if words[w][2] != words[start][2] or (w in chosen and not through_chosen):
                break
            if w not in chosen:
                if sizes[w] > left:
                    break
                run.add(w)
                left -= sizes[w]
        return run

    go(frozenset(), frozenset(), k, 1.0)
    return found


@pytest.mark.parametrize(
    ("name", "settings", "weights"),
    [
        ("whole-word", {}, [1]),
        ("ngram", {"ngram_max": 6}, [60, 30, 20, 15, 12, 10]),
        ("span", {"span_p": Fraction(1, 4), "span_max": 4}, [64, 48, 36, 27]),
    ],
)
@pytest.mark.parametrize(
    ("row", "k"),
    [
        ([2, [10], [11, 12], [13], [14], 3, [15], [16, 17, 18], 3], 4),
        ([2, [10], [11], [12], [13], [14], 3], 4),
        ([2, [10, 11, 12], [13, 14], [15, 16, 17], [18, 19], 3], 1),
    ],
)
def test_each_set_of_words_is_chosen_as_often_as_all_draws_together_say(
    name, settings, weights, row, k
):
    rows = 400_000
    sequences = repeated(row, rows)
    rate = Fraction(k, int(sequences.offsets[1]))
    columns = corrupted(name, sequences, FORMS[name].settings(mask_rate=rate, **settings))
    positions = columns["masked_positions"]
    number = np.repeat(np.arange(rows), positions.lengths)
    sets = np.bincount(number, 1 << positions.values, rows).astype(np.int64)  # as bits
    found = dict(zip(*(part.tolist() for part in np.unique(sets, return_counts=True)), strict=True))
    words = words_in(of_words([row]))[0]
    expected = outcomes(words, k, weights, through_chosen=name == "span")

    assert sum(expected.values()) == pytest.approx(1)
    assert len(found) == len(expected)
    for chosen, share in expected.items():
        bits = sum(1 << t for w in chosen for t in range(*words[w][:2]))
        assert abs(found[bits] / rows - share) < 5 * np.sqrt(share * (1 - share) / rows)


def test_merged_spans_of_real_text_have_3_6_to_4_words():
    # 512 tokens, 1.33 pieces to a word, as English has.
    generator = np.random.default_rng(5)
    sizes = generator.choice([1, 2, 3], p=[0.75, 0.17, 0.08], size=(400, 383))
    ids = iter(generator.integers(5, 1000, sizes.sum() + 1))
    rows = [[2, *([int(next(ids)) for _ in range(n)] for n in row), 3] for row in sizes]
    sequences = of_words(rows, LARGE)
    columns = corrupted("span", sequences, vocabulary=LARGE)
    chosen = np.zeros(len(sequences.ids), np.bool_)
    chosen[flat_positions(columns)] = True
    words = np.count_nonzero(sequences.word_start[chosen])

    assert 3.6 < words / len(columns["span_starts"].values) < 4.0


@given(st.data(), seeds)
def test_ngrams_of_one_word_are_whole_word_masking(data, seed):
    sequences, settings = data.draw(worded()), data.draw(settings_for("whole-word"))
    one = NgramSettings(mask_rate=settings.mask_rate, ngram_max=1)
    a = corrupted("whole-word", sequences, settings, seed=seed)
    b = corrupted("ngram", sequences, one, seed=seed)

    assert all(lists(a, name) == lists(b, name) for name in ("input_ids", "masked_positions"))
