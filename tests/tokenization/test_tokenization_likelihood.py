"""Merging by likelihood equals an obvious program with fractions, and the textbook's example."""

from __future__ import annotations

import random

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_learners import ALPHABET, WORDS, Pair, Word, arrays, as_pairs, slow_likely

from lmprep.settings import VocabSettings
from lmprep.tokenization import learning, likelihood
from lmprep.tokenization.likelihood import largest_least, merge_likely
from lmprep.tokenization.merges import texts_of

HUGS = {"hug": 10, "pug": 5, "pun": 12, "bun": 4, "hugs": 5}


def joins(words: list[Word], most: int) -> tuple[list[Pair], int]:
    keys, least = merge_likely(*arrays(words), ALPHABET, most)
    return as_pairs(keys), least


def slow_joins(words: list[Word], most: int) -> tuple[list[Pair], int]:
    """The largest least count that gives `most` merges, by trying one after another."""
    least = 1
    while len(slow_likely(words, most, least + 1)) == most > 0:
        least += 1
    return slow_likely(words, most, least), least


def test_the_textbook_words_merge_in_the_textbook_order():
    base = ["b", "g", "h", "n", "p", "s", "u", *("##" + c for c in "gnsu")]
    spelt = [([base.index(w[0])] + [base.index("##" + c) for c in w[1:]], HUGS[w]) for w in HUGS]
    keys, least = merge_likely(*arrays(spelt), len(base), 5)

    # ##g ##s has 5 / (20 * 5) = 1/20. Then h ##u, p ##u, ##u ##g, ##u ##n and ##u ##gs all have
    # 1/36, and p ##u is the most frequent; then h ##u 15 / (15 * 19), hu ##gs 5 / (15 * 5),
    # hu ##g 10 / (10 * 15). With a least count of 6 only p ##u, h ##u, hu ##g and pu ##n are left.
    assert texts_of(keys, base, "##")[len(base) :] == ["##gs", "pu", "hu", "hugs", "hug"]
    assert least == 5


def test_a_rare_pair_is_joined_before_a_frequent_one_of_frequent_symbols():
    words = [([0, 1], 5), ([2, 3], 50), ([2, 2], 50), ([3, 3], 50)]

    assert joins(words, 1) == ([(2, 2)], 50)  # with a least count of 50, (0, 1) is too rare ...
    assert slow_likely(words, 1, 5) == [(0, 1)]  # ... with 5 it would come first


@given(words=WORDS, most=st.integers(0, 12))
def test_joins_and_least_count_equal_those_of_the_obvious_program(words, most):
    ours, least = joins(words, most)

    assert ours == slow_likely(words, most, least)
    if len(ours) == most > 0:
        assert len(slow_likely(words, most, least + 1)) < most
    elif most > 0:
        assert least == 1


@pytest.mark.parametrize("seed", range(6))
def test_joins_equal_the_obvious_program_on_longer_words(seed):
    """Symbols with many neighbours, of which many are of the same score."""
    draw = random.Random(seed)
    words = [
        (draw.choices(range(ALPHABET), [8, 4, 2, 1], k=draw.randint(1, 12)), draw.randint(1, 20))
        for _ in range(60)
    ]
    ours, least = joins(words, 40)

    assert len(ours) == 40
    assert least > 1
    assert ours == slow_likely(words, 40, least)


def test_scores_of_counts_beyond_64_bits_in_product_are_exact():
    # 1 / 2**60 against 1 / (2**60 + 1), which are the same in floating point.
    words = [([0, 1], 2**60 + 1), ([2, 3], 2**60)]

    assert joins(words, 2)[0] == [(2, 3), (0, 1)]


@pytest.mark.parametrize("order", [1, -1])
def test_a_tie_that_rounding_hides_goes_to_the_more_frequent_pair(order):
    # 5 c / (5 l * r) = c / (l * r), of which floating point finds the second a little larger.
    count, left, right = 32_778_623, 55_210_879, 168_385_730
    words = [
        ([2, 3], 5 * count), ([2], 5 * left - 5 * count), ([3], right - 5 * count),
        ([0, 1], count), ([0], left - count), ([1], right - count),
    ]  # fmt: skip

    assert joins(words[::order], 2)[0] == [(2, 3), (0, 1)]


def test_the_most_frequent_pair_says_the_least_count_when_nothing_is_to_be_joined():
    assert joins([([0, 1], 7)], 0) == ([], 7)
    assert joins([([0], 7)], 0) == ([], 1)


@given(
    merges=st.lists(st.integers(0, 300), min_size=1, max_size=400).map(lambda m: sorted(m)[::-1]),
    most=st.integers(1, 250),
    occurrences=st.integers(1, 10**6),
)
def test_the_least_count_is_closed_in_from_both_sides_and_soon(merges, most, occurrences):
    """`merges` says how many there are with a least count of 1, 2, ..., and then none."""
    tried = []

    def merged(least: int) -> np.ndarray:
        tried.append(least)
        return np.arange([*merges, 0][least - 1])[: most + most // 8]

    found, least = largest_least(merged, most, len(merges), occurrences)

    assert least == max([1, *(i + 1 for i, made in enumerate(merges) if made >= most)])
    assert len(found) == min(most, merges[least - 1])
    assert len(set(tried)) == len(tried) <= 4 * len(merges).bit_length() + 4


def test_merging_is_rehearsed_for_the_arrays_that_learning_gives_it(monkeypatch):
    types = {"rehearsed": set(), "used": set()}

    def note(use, arguments):
        types[use].add(tuple(map(numba.typeof, arguments)))

    def merge(*arguments):
        note("used", arguments)
        return original(*arguments)

    original = likelihood._merge
    monkeypatch.setattr(likelihood, "_merge", merge)
    monkeypatch.setattr(likelihood, "compile_for", lambda _, *given: note("rehearsed", given))
    settings = VocabSettings(algorithm="wordpiece", criterion="likelihood", size=60)
    learning.rehearse_end(settings)
    learning.rehearse(settings)

    assert types["rehearsed"] == types["used"] != set()
