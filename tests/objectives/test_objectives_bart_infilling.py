"""Text infilling: the Poisson law, exact budgets, whole words, and uniform places."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from denoising_examples import BART, bare, chi_square_fits, lists

from lmprep.objective_settings import BartSettings
from lmprep.objectives.bart import corrupt
from lmprep.objectives.bart.infilling import infill, poisson_law
from lmprep.objectives.bart.sources import MASK_TOKEN, in_order
from lmprep.ragged import offsets_of
from tests.strategies import keys_of

RATE, MEAN = Fraction(3, 10), Fraction(3)
MASK = BART.mask


def infilled(rows, words, *, rate=RATE, mean=MEAN, seed=0):
    """Equal rows of single-token words: sources, one array for each."""
    sources = in_order(offsets_of(np.full(rows, words)))
    return infill(sources, np.ones(rows * words, np.bool_), rate, mean, keys_of(rows, seed))


def hidden_words(sources, rows, words):
    """bool [rows, words], True where a word does not stand any more."""
    hidden = np.ones((rows, words), np.bool_)
    row_of = np.repeat(np.arange(rows), sources.lengths)
    stands = sources.values >= 0
    hidden[row_of[stands], sources.values[stands]] = False
    return hidden


@pytest.mark.parametrize("mean", [Fraction(3), Fraction(7, 2), Fraction(1, 10), Fraction(30)])
def test_the_table_is_the_poisson_law(mean):
    law = poisson_law(mean)
    steps = np.diff(law, prepend=0) / law[-1]
    expected = [math.exp(-mean) * mean**k / math.factorial(k) for k in range(len(law))]

    assert np.allclose(steps, np.array(expected, float), atol=2**-30, rtol=0)


def test_a_twentieth_of_the_spans_has_no_word():
    # Three words of 20 tokens, one of them to be hidden: draws go on until one has a word.
    rows = 40_000
    starts = np.tile(np.arange(60) % 20 == 0, rows)
    sources = infill(in_order(offsets_of(np.full(rows, 60))), starts, RATE, MEAN, keys_of(rows))
    row_of = np.repeat(np.arange(rows), sources.lengths)
    empty = np.bincount(row_of, sources.values == MASK_TOKEN).astype(int) - 1
    p = math.exp(-3)
    counts = np.bincount(empty, minlength=3)

    assert np.all(hidden_words(sources, rows, 60).sum(1) == 20)
    assert chi_square_fits(
        [*counts[:2], counts[2:].sum()], [rows * (1 - p), rows * (1 - p) * p, rows * p**2]
    )


def test_span_lengths_follow_the_poisson_law():
    # Long rows, so that the last span, which is cut to the budget, weighs little. A mask between
    # two words that stand is one span: the words missing there are its length.
    rows, words = 12, 60_000
    sources = infilled(rows, words)
    found = Counter()
    for row in sources:
        left, middle, right = row[:-2], row[1:-1], row[2:]
        alone = (middle == MASK_TOKEN) & (left >= 0) & (right > left)
        found.update((right[alone] - left[alone] - 1).tolist())
    total = sum(found.values())
    law = [math.exp(-3) * 3**k / math.factorial(k) for k in range(9)]

    assert total > 40_000
    assert chi_square_fits(
        [found[k] for k in range(9)] + [sum(n for k, n in found.items() if k > 8)],
        [*(p * total for p in law), (1 - sum(law)) * total],
    )


@pytest.mark.parametrize("words", [1, 2, 3, 4, 7, 10, 100, 333])
def test_exactly_the_budget_is_hidden(words):
    sources = infilled(200, words)

    assert np.all(hidden_words(sources, 200, words).sum(1) == math.ceil(0.3 * words))


def test_words_are_hidden_as_often_in_every_tenth_of_the_row():
    rows, words = 20_000, 100
    hidden = hidden_words(infilled(rows, words), rows, words)

    for tenth in range(10):
        counts = hidden[:, 10 * tenth : 10 * tenth + 10].sum(1)
        assert abs(counts.mean() - 3) < 5 * counts.std() / np.sqrt(rows)


def test_every_arrangement_of_a_span_is_equally_likely():
    # One span of 2 of 5 words (a mean of 30 makes it one span): with the circle cut at a uniform
    # word and moved out of the span, it opens or closes the row in 3 of 10 cases each.
    rows = 50_000
    hidden = hidden_words(infilled(rows, 5, rate=Fraction(2, 5), mean=Fraction(30)), rows, 5)
    found = Counter(np.argmax(hidden, 1).tolist())

    assert np.all(hidden.sum(1) == 2)
    assert chi_square_fits([found[w] for w in range(4)], [rows * p for p in (0.3, 0.2, 0.2, 0.3)])


def test_two_spans_stand_in_any_two_places():
    # Two of six words: of a mean of 0.1 nearly all spans have one word. Hidden words that do not
    # touch are two such spans; each of these pairs is equally likely.
    rows = 60_000
    sources = infilled(rows, 6, rate=Fraction(1, 3), mean=Fraction(1, 10))
    pairs = np.nonzero(hidden_words(sources, rows, 6))[1].reshape(rows, 2)
    apart = [tuple(pair) for pair in pairs.tolist() if pair[1] - pair[0] > 1]
    found = Counter(apart)

    assert len(found) == 10
    assert chi_square_fits(list(found.values()), [len(apart) / 10] * 10)


def test_spans_without_a_word_stand_anywhere_between_words_and_masks():
    # Three words of five tokens, word h hidden; of the rows with one mask for nothing: it takes
    # each of the four places as often, the three others follow in order.
    rows = 200_000
    starts = np.tile(np.arange(15) % 5 == 0, rows)
    sources = infill(in_order(offsets_of(np.full(rows, 15))), starts, RATE, MEAN, keys_of(rows))
    found, law = Counter(), Counter()
    for row in np.flatnonzero(sources.lengths == 12):
        items = [s // 5 for s in sources[int(row)].tolist() if s % 5 == 0 or s < 0]
        found[tuple(items)] += 1
    for hidden in range(3):
        for place in range(4):
            items = [MASK_TOKEN if word == hidden else word for word in range(3)]
            items.insert(place, MASK_TOKEN)
            law[tuple(items)] += sum(found.values()) / 12

    assert sum(found.values()) > 5000
    assert found.keys() == law.keys()
    assert chi_square_fits([found[each] for each in law], list(law.values()))


def test_no_word_is_cut():
    rng = np.random.default_rng(3)
    starts = [[True, *(rng.random(79) < 0.6)] for _ in range(100)]
    sequences = bare([range(5, 85)] * 100, word_start=starts, sentence_starts=[[20, 50]] * 100)
    columns = corrupt(sequences, BartSettings(permute_rate=Fraction(0)), BART, keys_of(100))

    for row, lost in zip(starts, lists(columns, "noise_positions"), strict=True):
        words = np.cumsum(row)
        hidden = np.isin(np.arange(80), np.array(lost) - 1)
        for word in range(1, words[-1] + 1):
            assert len(set(hidden[words == word].tolist())) == 1
        assert len(set(words[hidden].tolist())) == math.ceil(0.3 * words[-1])


def test_words_that_a_permutation_parts_are_words_by_themselves():
    # Two sentences within what word starts call one word. In place it is hidden whole; swapped,
    # its halves are two words, one of them hidden.
    rows = 2000
    sequences = bare(
        [range(5, 9)] * rows, word_start=[[False] * 4] * rows, sentence_starts=[[2]] * rows
    )
    lost = corrupt(sequences, BartSettings(), BART, keys_of(rows))["noise_positions"].lengths

    assert set(lost.tolist()) == {2, 4}
    assert abs(np.mean(lost == 2) - 0.5) < 5 * 0.5 / rows**0.5


def test_a_span_becomes_one_mask_token_whatever_its_length():
    sequences = bare([range(5, 105)] * 50)
    settings = BartSettings(permute_rate=Fraction(0), poisson_lambda=Fraction(30))
    columns = corrupt(sequences, settings, BART, keys_of(50))

    for row in lists(columns, "input_ids"):
        assert row.count(MASK) <= 4
        assert len(row) == 2 + 70 + row.count(MASK)


@pytest.mark.parametrize("mean", [Fraction(1, 10), Fraction(1)])
def test_infilling_never_makes_a_row_longer(mean):
    for words in (1, 2, 3, 10, 50):
        sources = infilled(200, words, mean=mean)

        assert sources.lengths.max() <= words
