"""Unigram by the kernel: the likeliest pieces, ties and unknown characters as in the library."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from piece_examples import assert_as_the_library, by_kernel, letters, words
from tokenizers import Tokenizer
from tokenizers.models import Unigram

from lmprep.tokenization.pieces import piece_model

# Few and round, so that ways tie; some positive, so that unknown characters can be the likeliest.
scores = st.sampled_from([-3.0, -2.5, -2.0, -1.0, 0.0, 20.0])
FALLBACK = [(f"<0x{byte:02X}>", -9.0) for byte in "é€x".encode()]


def unigram(
    pieces: list[tuple[str, float]], unk: int | None = 0, *, falls_back: bool = False
) -> Tokenizer:
    return Tokenizer(Unigram(pieces, unk, falls_back))


def test_of_equally_likely_ways_the_longer_last_piece_is_taken():
    model = piece_model(unigram([("<unk>", 0), ("a", -1), ("aa", -1.5), ("aaa", -2.5)]))

    assert by_kernel(model, b"aaa") == [3]
    assert by_kernel(model, b"aaaa") == [2, 2]
    assert by_kernel(model, b"aaaaa") == [2, 3]


@pytest.mark.parametrize("word", ["xxab", "axxb", "abxx", "€ab", "a€x€b", "ab😀", "x", "<unk>x"])
def test_a_run_of_unknown_characters_is_one_token(word):
    assert_as_the_library(unigram([("<unk>", 0), ("a", -1), ("b", -2), ("ab", -2)]), [word])


def test_unknown_characters_that_together_are_an_unlikely_piece_count_as_that():
    tokenizer = unigram([("<unk>", 200.0), ("xy", 100.0)])

    assert by_kernel(piece_model(tokenizer), b"xy") == [1]
    assert by_kernel(piece_model(tokenizer), b"xyx") == [0]
    assert_as_the_library(tokenizer, ["xy", "xyx"])


@given(
    st.lists(st.tuples(letters, scores), max_size=14), st.sampled_from(["<unk>", "x", "a"]),
    st.sampled_from([None, 0, 1]), st.sampled_from([[], FALLBACK, FALLBACK[1:]]),
    st.booleans(), st.lists(words),
)  # fmt: skip
def test_unigram_equals_the_library(pieces, first, unk, fallback, falls_back, examples):
    tokenizer = unigram([(first, 0.0), ("b", -1.0), *pieces, *fallback], unk, falls_back=falls_back)

    assert_as_the_library(tokenizer, ["", "<unk>", "x<unk>x", *examples])
