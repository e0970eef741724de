"""Top-down WordPiece equals an obvious program on random words, and the guide's example."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from slow_learners import Word, arrays, slow_top_down

from lmprep.tokenization.topdown import LONGEST_WORD, ROUNDS, choose_substrings

# 0 and 1 begin a word, 2 and 3 stand inside.
SPELT = st.tuples(st.integers(0, 1), st.lists(st.integers(2, 3), max_size=9)).map(
    lambda word: [word[0], *word[1]]
)
WORDS = st.lists(st.tuples(SPELT, st.integers(1, 30)), min_size=1, max_size=20)


def chosen(words: list[Word], size: int) -> tuple[dict[tuple[int, ...], int], int]:
    """Pieces with their counts, and the threshold."""
    found = choose_substrings(*arrays(words), 4, size)
    pieces = {tuple(piece): count for piece, count in found.pieces}
    assert len(pieces) == len(found.pieces)
    return pieces, found.threshold


def spelt(text: str) -> list[int]:
    """A word with capitals that begin it, and letters inside."""
    return [ord(c) - 97 + (26 if i == 0 else 0) for i, c in enumerate(text)]


def test_what_is_taken_takes_its_count_from_its_prefixes():
    """The guide's words: `huma` is left with the 3 of `humas`."""
    words = [(spelt("human"), 113), (spelt("humas"), 3)]
    found = choose_substrings(*arrays(words), 52, 53)

    assert found.pieces == [(spelt("human"), 113)]
    assert found.threshold == 4  # with 3, `humas` is taken too


@given(words=WORDS, size=st.integers(4, 40))
def test_pieces_equal_those_of_the_obvious_program(words, size):
    pieces, threshold = chosen(words, size)

    assert pieces == slow_top_down(words, threshold, ROUNDS, LONGEST_WORD)
    assert 4 + len(pieces) <= size
    if threshold > 1:
        assert 4 + len(slow_top_down(words, threshold - 1, ROUNDS, LONGEST_WORD)) > size


@given(words=WORDS)
def test_later_rounds_begin_substrings_where_pieces_begin(words):
    """A size without a limit: with a threshold of 1 each word is one piece, and nothing else is."""
    pieces, threshold = chosen(words, 10**6)

    assert threshold == 1
    assert set(pieces) == {tuple(word) for word, _ in words if len(word) > 1}


def test_nothing_is_learnt_from_words_that_are_left_out():
    words = [([-1, -1, -1], 9), ([0, *[2] * LONGEST_WORD], 9), ([0, *[2] * (LONGEST_WORD - 1)], 1)]
    pieces, _ = chosen(words, 5)

    assert pieces == {(0, *[2] * (LONGEST_WORD - 1)): 1}


def test_many_words_make_the_tree_grow_and_change_nothing():
    words = [([i % 2, *(2 + (i >> bit) % 2 for bit in range(14))], 1 + i % 3) for i in range(600)]
    pieces, threshold = chosen(words, 300)

    assert pieces == slow_top_down(words, threshold, ROUNDS, LONGEST_WORD)
