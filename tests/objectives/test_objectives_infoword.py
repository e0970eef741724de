"""InfoWord: one n-gram hidden whole, tokens masked beside it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from masked_examples import (
    LARGE,
    check_masked,
    corrupted,
    flat_positions,
    lists,
    of_words,
    repeated,
    settings_for,
    wanted,
    worded,
    words_in,
)

from lmprep.objective_settings import InfoWordSettings
from tests.strategies import BERT, seeds

SINGLES = [2, *([i] for i in range(10, 30)), 3]


@given(worded(), settings_for("infoword"), seeds)
def test_an_ngram_of_whole_words_in_one_segment_and_k_tokens_beside_it(sequences, settings, seed):
    columns = check_masked("infoword", sequences, settings, seed=seed)
    for words, starts, lengths, positions, ids in zip(
        words_in(sequences),
        *(lists(columns, c) for c in ("span_starts", "span_lengths", "masked_positions")),
        lists(columns, "input_ids"),
        strict=True,
    ):
        hidden = [t for s, n in zip(starts, lengths, strict=True) for t in range(s, s + n)]
        inside = [(a, b, run) for a, b, run in words if a in hidden]
        tokens = sum(b - a for a, b, _ in words)
        k = min(tokens - len(hidden), wanted(settings, len(ids)))

        assert len(starts) == (len(words) > 1)
        assert [t for a, b, _ in inside for t in range(a, b)] == hidden
        assert len({run for *_, run in inside}) <= 1
        assert len(inside) <= min(settings.ngram_max, max(0, len(words) - 1))
        assert all(ids[t] == BERT.mask for t in hidden)
        assert set(hidden) <= set(positions)
        assert len(positions) == len(hidden) + k


def test_every_n_and_every_place_of_it_is_equally_likely():
    rows = 40_000
    columns = corrupted("infoword", repeated(SINGLES, rows))
    starts, lengths = columns["span_starts"].values, columns["span_lengths"].values

    for n in range(1, 6):
        found = starts[lengths == n]
        places = np.bincount(found, minlength=21)[1 : 21 - n + 1]
        assert abs(len(found) - rows / 5) < 5 * np.sqrt(rows * 0.16)
        assert places.sum() == len(found)
        assert np.all(
            abs(places - len(found) / len(places)) < 5 * np.sqrt(len(found) / len(places))
        )


@pytest.mark.parametrize(
    ("row", "longest"),
    [
        ([2, [10, 11], 3], 0),  # a single word: nothing would be left
        ([2, [10], [11], 3], 1),
        ([2, [10], [11], [12], 3], 2),
        ([2, [10], [11], 3, [12], 3], 2),
        ([2, [10], [11], [12], 3, [13], [14], 3], 3),  # never across a separator
        ([2, 3], 0),
    ],
)
def test_short_rows_have_short_ngrams(row, longest):
    columns = corrupted("infoword", repeated(row, 300))
    ngrams = [sum(lengths) for lengths in lists(columns, "span_lengths")]

    assert max(ngrams) == longest
    assert min(ngrams) == min(1, longest)


def test_the_rest_is_masked_as_in_berts_law():
    rows = 20_000
    columns = corrupted("infoword", repeated(SINGLES, rows, LARGE), vocabulary=LARGE)
    flat = flat_positions(columns)
    hidden = np.zeros(rows * 22, np.bool_)
    starts, lengths = columns["span_starts"].values, columns["span_lengths"].values
    for n in range(5):
        hidden[(np.arange(rows) * 22 + starts + n)[lengths > n]] = True
    outside = flat[~hidden[flat]]
    found, labels = columns["input_ids"].values[outside], columns["masked_labels"].values
    labels = labels[~hidden[flat]]
    n = len(outside)
    # Three of the tokens outside: an exact share, row by row.
    shares = np.where(hidden, 0.0, 3 / np.repeat(20 - lengths, 22)).reshape(rows, 22)[:, 1:21]
    chosen, expected = np.bincount(outside % 22, minlength=22)[1:21], shares.sum(axis=0)

    assert n == rows * 3  # 0.15 * 22 is 3.3
    assert np.all(columns["input_ids"].values[hidden] == LARGE.mask)
    assert abs(np.mean(found == LARGE.mask) - 0.8) < 5 * np.sqrt(0.16 / n)
    assert abs(np.mean(found == labels) - 0.1) < 5 * np.sqrt(0.09 / n)
    assert np.all(abs(chosen - expected) < 5 * np.sqrt(expected))


def test_the_rate_counts_the_whole_row():
    columns = corrupted("infoword", of_words([SINGLES]), InfoWordSettings(mask_rate=Fraction(1)))

    assert lists(columns, "masked_positions") == [list(range(1, 21))]
