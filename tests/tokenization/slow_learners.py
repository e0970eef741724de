"""Obvious programs that learn vocabularies: they count everything anew at every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from lmprep.ragged import Ragged
from lmprep.tokenization.pairs import Int32s, Int64s

Word = tuple[list[int], int]
Pair = tuple[int, int]
Piece = tuple[int, ...]

ALPHABET = 4
WORDS = st.lists(
    st.tuples(st.lists(st.integers(-1, ALPHABET - 1), min_size=1, max_size=12), st.integers(1, 5)),
    min_size=1,
    max_size=12,
)


def arrays(words: list[Word]) -> tuple[Int32s, Int64s, Int64s]:
    """Words as the learners take them: symbols, offsets and counts."""
    symbols = Ragged.from_rows([word for word, _ in words], np.int32)
    return symbols.values, symbols.offsets, np.array([count for _, count in words])


def as_pairs(keys: Int64s) -> list[Pair]:
    """Merges as pairs of symbols."""
    return [(key >> 32, key & 0xFFFFFFFF) for key in keys.tolist()]


def slow_frequent(words: list[Word], most: int, alphabet: int = ALPHABET) -> list[Pair]:
    """The most frequent pair, then the smallest."""

    def best(pairs: Counter[Pair], _: Counter[int]) -> Pair | None:
        return min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)

    return _slow_merges(words, most, alphabet, best)


def slow_likely(words: list[Word], most: int, least: int) -> list[Pair]:
    """The pair with the highest score of those that occur `least` times."""

    def best(pairs: Counter[Pair], symbols: Counter[int]) -> Pair | None:
        def rank(pair: Pair) -> tuple[Fraction, int, Pair]:
            score = Fraction(pairs[pair], symbols[pair[0]] * symbols[pair[1]])
            return -score, -pairs[pair], pair

        return min((pair for pair in pairs if pairs[pair] >= least), key=rank, default=None)

    return _slow_merges(words, most, ALPHABET, best)


def _slow_merges(
    words: list[Word],
    most: int,
    alphabet: int,
    best: Callable[[Counter[Pair], Counter[int]], Pair | None],
) -> list[Pair]:
    texts, joined = [(list(word), count) for word, count in words], []
    while len(joined) < most:
        pairs: Counter[Pair] = Counter()
        symbols: Counter[int] = Counter()
        for word, count in texts:
            for symbol in word:
                symbols[symbol] += count
            for pair in pairwise(word):
                pairs[pair] += count * (min(pair) >= 0)
        pair = best(+pairs, symbols)
        if pair is None:
            break
        texts = [(_joined(word, pair, alphabet + len(joined)), count) for word, count in texts]
        joined.append(pair)
    return joined


def _joined(word: list[int], pair: Pair, new: int) -> list[int]:
    out: list[int] = []
    i = 0
    while i < len(word):
        found = tuple(word[i : i + 2]) == pair
        out.append(new if found else word[i])
        i += 2 if found else 1
    return out


def slow_top_down(words: list[Word], threshold: int, rounds: int, longest: int) -> dict[Piece, int]:
    """Substrings of more than one symbol that are taken, with their counts.

    A symbol inside a word is never one that begins a word, so a substring says where it stands.
    """
    words = [(w, count) for w, count in words if min(w) >= 0 and len(w) <= longest]
    taken: dict[Piece, int] = {}
    for round_ in range(rounds):
        counts: Counter[Piece] = Counter()
        for word, count in words:
            starts = range(len(word)) if round_ == 0 else _longest_matches(word, taken)
            for start in starts:
                for stop in range(start + 1, len(word) + 1):
                    counts[tuple(word[start:stop])] += count
        taken = {}
        for piece in sorted(counts, key=len, reverse=True):
            if counts[piece] >= threshold:
                taken[piece] = counts[piece]
                for length in range(1, len(piece)):
                    counts[piece[:length]] -= taken[piece]
    return {piece: count for piece, count in taken.items() if len(piece) > 1}


def _longest_matches(word: list[int], taken: dict[Piece, int]) -> list[int]:
    """Where the pieces of a word begin when each is the longest that fits."""
    starts, start = [], 0
    while start < len(word):
        starts.append(start)
        start = next(
            stop
            for stop in range(len(word), start, -1)
            if tuple(word[start:stop]) in taken or stop == start + 1
        )
    return starts
