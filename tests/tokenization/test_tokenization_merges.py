"""Merging pairs equals an obvious program on random words, and the library's trainer on text."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenization_examples import SENTENCES, settings
from tokenizers import models, pre_tokenizers, trainers

from lmprep.ragged import Ragged
from lmprep.tokenization import learn
from lmprep.tokenization.families import front_tokens
from lmprep.tokenization.merges import PairQueue
from lmprep.tokenization.pipelines import bare_tokenizer

WORDS = st.lists(
    st.tuples(st.lists(st.integers(-1, 3), min_size=1, max_size=12), st.integers(1, 5)),
    min_size=1,
    max_size=12,
)


def queue_of(words: list[tuple[list[int], int]]) -> PairQueue:
    symbols = Ragged.from_rows([word for word, _ in words], np.int32)
    return PairQueue(symbols.values, symbols.offsets, np.array([count for _, count in words]))


def joins(words: list[tuple[list[int], int]], most: int) -> list[tuple[int, int]]:
    """The pairs in the order they are joined."""
    queue, joined = queue_of(words), []
    while len(joined) < most and (pair := queue.pop()):
        joined.append(pair)
        queue.join(*pair, 3 + len(joined))
    return joined


def slow_joins(words: list[tuple[list[int], int]], most: int) -> list[tuple[int, int]]:
    """The same by counting everything anew after each join."""
    texts, joined = [(list(word), count) for word, count in words], []
    while len(joined) < most:
        pairs: Counter[tuple[int, int]] = Counter()
        for word, count in texts:
            for pair in pairwise(word):
                pairs[pair] += count * (min(pair) >= 0)
        pairs = +pairs
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        joined.append(best)
        texts = [(join(word, best, 3 + len(joined)), count) for word, count in texts]
    return joined


def join(word: list[int], pair: tuple[int, int], new: int) -> list[int]:
    out: list[int] = []
    i = 0
    while i < len(word):
        found = tuple(word[i : i + 2]) == pair
        out.append(new if found else word[i])
        i += 2 if found else 1
    return out


def test_the_most_frequent_pair_comes_first_and_the_smaller_of_two_equals():
    # "ab" 3 times, "bc" and "cd" twice: then abc has no "bc" of its own any more.
    words = [([0, 1], 1), ([0, 1, 2, 3], 2)]

    assert joins(words, 9) == [(0, 1), (2, 3), (4, 5)]


def test_of_three_equal_symbols_the_first_two_are_joined():
    assert joins([([0, 0, 0], 1)], 9) == [(0, 0), (4, 0)]


@given(words=WORDS)
def test_joins_equal_those_of_counting_anew(words):
    assert joins(words, 40) == slow_joins(words, 40)


def test_counts_beyond_32_bits_keep_their_order():
    words = [([0, 1], 2**40), ([2, 3], 2**40 + 1)]

    assert joins(words, 9) == [(2, 3), (0, 1)]


@pytest.mark.parametrize("algorithm", ["bpe", "byte-bpe"])
def test_bpe_equals_the_trainer_of_the_library(algorithm):
    wanted = settings(algorithm, size=400)
    reference = bare_tokenizer(wanted)
    every_byte = pre_tokenizers.ByteLevel.alphabet() if algorithm == "byte-bpe" else []
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(front_tokens(wanted)),
        initial_alphabet=every_byte,
        show_progress=False,
    )
    reference.train_from_iterator(SENTENCES, trainer)
    ours = learn([SENTENCES], wanted)

    assert ours.get_vocab() == reference.get_vocab()
    merges = [json.loads(t.to_str())["model"]["merges"] for t in (ours, reference)]
    assert merges[0] == merges[1]


def test_wordpiece_equals_the_trainer_of_the_library_made_deterministic():
    wanted = settings("wordpiece", size=260)
    ours = learn([SENTENCES], wanted)
    pieces = set(ours.get_vocab()) - set(front_tokens(wanted))
    characters = sorted(p for p in pieces if len(p) == 1)
    inside = sorted(p for p in pieces if len(p) == 3 and p.startswith("##"))
    reference = bare_tokenizer(wanted)
    reference.model = models.WordPiece(unk_token="[UNK]")
    trainer = trainers.WordPieceTrainer(
        vocab_size=260,
        special_tokens=[*front_tokens(wanted), *characters, *inside],
        show_progress=False,
    )
    reference.train_from_iterator(SENTENCES, trainer)

    assert ours.get_vocab() == reference.get_vocab()
