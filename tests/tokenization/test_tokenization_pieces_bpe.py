"""BPE by the kernels: of all merges the lowest rank first, then the leftmost."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from piece_examples import assert_as_the_library, by_kernel, words
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from lmprep.jit import kernel
from lmprep.tokenization.pieces import piece_model, scratch_for
from lmprep.tokenization.pieces.merge_table import merge_table
from lmprep.tokenization.pieces.merging import FEW, _merge_few, _merge_many, merge
from lmprep.tokenization.pieces.printable import PRINTABLE

FALLBACK = [f"<0x{byte:02X}>" for byte in "é€x".encode()]


@st.composite
def merges(draw, symbols: list[str]) -> list[tuple[str, str]]:
    """Merges of symbols and of what earlier ones made, in any order, some more than once."""
    pieces, made = list(symbols), []
    for _ in range(draw(st.integers(0, 14))):
        pair = draw(st.sampled_from(pieces)), draw(st.sampled_from(pieces))
        made.append(pair)
        pieces.append("".join(pair))
    return draw(st.permutations(made))


def bpe(symbols: list[str], merged: list[tuple[str, str]], **settings: object) -> Tokenizer:
    pieces = dict.fromkeys([*symbols, *("".join(pair) for pair in merged)])
    return Tokenizer(BPE({piece: 5 + 2 * i for i, piece in enumerate(pieces)}, merged, **settings))


@st.composite
def character_bpe(draw) -> Tokenizer:
    """Of a few letters, with and without unknown token, fallback and whole words."""
    symbols = draw(st.lists(st.sampled_from("abé€"), min_size=1, unique=True))
    symbols += draw(st.sampled_from([[], ["<unk>"]]))
    merged = draw(merges(symbols))
    symbols += draw(st.sampled_from([[], FALLBACK, FALLBACK[1:]]))
    symbols += draw(st.lists(st.text("abx", min_size=2, max_size=3), max_size=3))
    return bpe(
        symbols,
        merged,
        unk_token=draw(st.sampled_from([None, "<unk>"])),
        fuse_unk=draw(st.booleans()),
        byte_fallback=draw(st.booleans()),
        ignore_merges=draw(st.booleans()),
    )


@st.composite
def byte_bpe(draw) -> Tokenizer:
    """Of the bytes of a few letters, not always all of them."""
    letters = draw(st.sampled_from([" abé€x😀", "abé", "ab"]))
    symbols = sorted({PRINTABLE[byte] for byte in letters.encode()})
    merged = draw(merges(symbols))
    wholes = draw(st.lists(st.text(symbols, min_size=2, max_size=4), max_size=3))
    tokenizer = bpe(symbols + wholes, merged, ignore_merges=draw(st.booleans()))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return tokenizer


@given(character_bpe(), st.lists(words))
def test_bpe_over_characters_equals_the_library(tokenizer, examples):
    assert_as_the_library(tokenizer, ["", "ab", "abx", "x", "ax", "xxaxx", *examples])


@given(byte_bpe(), st.lists(words))
def test_bpe_over_bytes_equals_the_library(tokenizer, examples):
    examples = [*examples, *(" " + word for word in examples)]
    known = [word for word in examples if tokenizer.get_vocab().keys() >= printed(word)]

    assert_as_the_library(tokenizer, ["", "a", "ab", *known])


def printed(word: str) -> set[str]:
    return {PRINTABLE[byte] for byte in word.encode()}


def test_a_byte_without_a_piece_is_left_to_the_library():
    tokenizer = bpe(["a", "b"], [("a", "b")])
    tokenizer.pre_tokenizer = ByteLevel()
    model = piece_model(tokenizer)

    assert by_kernel(model, b"ab") == [9]
    assert by_kernel(model, b"abc") is None


def test_whole_words_come_before_merges_only_where_the_model_says_so():
    merged = [("b", "c")]
    settings = {"a": 5, "b": 7, "c": 9, "abc": 11, "bc": 13}

    whole = piece_model(Tokenizer(BPE(settings, merged, ignore_merges=True)))
    apart = piece_model(Tokenizer(BPE(settings, merged, ignore_merges=False)))

    assert by_kernel(whole, b"abc") == [11]
    assert by_kernel(apart, b"abc") == [5, 13]


@kernel
def merge_few(merges, symbols, count, ranked):  # Python cannot call an inner kernel
    return _merge_few(merges, symbols, count, ranked)


@kernel
def merge_either(merges, symbols, count, scratch):
    return merge(merges, symbols, count, scratch)


tables = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20, unique=True)


@given(tables, st.lists(st.integers(0, 2), max_size=3 * FEW), st.data())
def test_searching_and_the_heap_merge_alike(pairs, symbols, data):
    joined = data.draw(st.lists(st.integers(0, 5), min_size=len(pairs), max_size=len(pairs)))
    table = merge_table(np.array(pairs, np.int32).reshape(-1, 2), np.array(joined, np.int32))
    expected = slow_merges(symbols, dict(zip(pairs, joined, strict=True)))

    few, many, either = (np.array([*symbols, 0], np.int32) for _ in range(3))
    scratch = scratch_for(len(symbols))
    few = few[: merge_few(table, few, len(symbols), scratch.ranked)]
    many = many[: _merge_many(table, many, len(symbols), scratch)]
    either = either[: merge_either(table, either, len(symbols), scratch)]

    assert few.tolist() == many.tolist() == either.tolist() == expected


def slow_merges(symbols: list[int], merged: dict[tuple[int, int], int]) -> list[int]:
    """Look for the first merge, in their order, that is anywhere in the symbols."""
    symbols = list(symbols)
    while True:
        neighbours = list(pairwise(symbols))
        first = next((pair for pair in merged if pair in neighbours), None)
        if first is None:
            return symbols
        place = neighbours.index(first)
        symbols[place : place + 2] = [merged[first]]


@pytest.mark.parametrize("size", [FEW - 1, FEW, FEW + 1, 64, 65])
def test_words_around_the_limits_of_search_and_of_work_arrays_equal_the_library(size):
    pairs = [("a", "a"), ("b", "a"), ("aa", "aa"), ("ba", "aa"), ("a", "b"), ("aaaa", "ab")]
    rng = np.random.default_rng(size)
    examples = ["".join(rng.choice(["a", "b"], size, p=[0.8, 0.2])) for _ in range(50)]

    assert_as_the_library(bpe(["a", "b"], pairs), ["a" * size, *examples])
