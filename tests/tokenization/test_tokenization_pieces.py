"""Words become the pieces that the library makes of them, whatever the model and the word."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from piece_examples import UNKNOWN, assert_as_the_library, by_kernel, by_library
from tokenization_examples import (
    DATA,
    SENTENCES,
    learn_text,
    learnt,
    lines_of,
    needs_data,
    settings,
)
from tokenizers import Tokenizer, models
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

from lmprep.settings import ALGORITHMS
from lmprep.tokenization.pieces import NotCovered, piece_model

any_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
LANGUAGES = ["ar", "de", "fr", "hi", "ja", "ko", "ru", "th", "vi", "zh"]


def words_for(algorithm: str, texts: list[str]) -> list[str]:
    """Words as they might come to a model of this algorithm, distinct."""
    mark = {"byte-bpe": " ", "bpe": "▁", "unigram": "▁"}.get(algorithm, "")
    return list(dict.fromkeys(mark + word for text in texts for word in text.split()))


@any_algorithm
def test_learnt_vocabularies_give_what_the_library_gives(algorithm):
    words = words_for(algorithm, SENTENCES)
    strange = [cut + c + rest for c in UNKNOWN for cut, rest in [("", "cat"), ("c", "t"), ("", "")]]
    strange += ["cat" + "".join(UNKNOWN), "".join(UNKNOWN) + "cat", "c\0\0a\0t"]

    assert_as_the_library(learnt(algorithm), ["", *words, *strange])


@any_algorithm
def test_only_the_word_itself_counts_not_what_stands_before_it(algorithm):
    model = piece_model(learnt(algorithm))

    assert by_kernel(model, b"language", 3) == by_kernel(model, b"guage")


@any_algorithm
def test_a_word_of_300_000_bytes_is_encoded_as_the_library_does(algorithm):
    text = "".join("".join(SENTENCES).split())
    tokenizer = learnt(algorithm)

    assert_as_the_library(tokenizer, [(text * 1000)[: 300_000 * len(text) // len(text.encode())]])


def test_wordpiece_without_a_limit_takes_long_words_too():
    vocabulary = {"[UNK]": 0, "a": 1, "##a": 2, "##aaa": 3}
    model = models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=10**9)

    assert_as_the_library(Tokenizer(model), ["a" * 3000, "a" * 2999 + "b"])


@any_algorithm
@given(st.binary(max_size=80))
def test_bytes_that_are_no_text_do_no_harm(algorithm, data):
    model = piece_model(learnt(algorithm))
    ids = by_kernel(model, data)

    assert ids is None or set(ids) <= set(learnt(algorithm).get_vocab().values())


@cache
def of_many_languages(algorithm: str) -> Tokenizer:
    texts = [line for name in LANGUAGES for line in excerpt(name)[:40]]
    return learn_text([texts], settings(algorithm, size=3000))


def excerpt(language: str) -> list[str]:
    lines = lines_of(DATA / f"multilingual/{language}.txt.gz")
    return [line[:400] for line in lines if line][:150]


@needs_data
@any_algorithm
def test_words_of_many_languages_are_encoded_as_the_library_does(algorithm):
    texts = [line for name in LANGUAGES for line in excerpt(name)]

    assert_as_the_library(of_many_languages(algorithm), words_for(algorithm, texts))


def test_a_very_large_vocabulary_is_found_again():
    rng = np.random.default_rng(3)
    pieces = {bytes(rng.integers(97, 123, rng.integers(1, 9))).decode() for _ in range(60_000)}
    vocabulary = {piece: i for i, piece in enumerate(["[UNK]", *sorted(pieces)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    model = piece_model(tokenizer)

    for piece in [*list(vocabulary)[::7], "zzzzzzzzz"]:
        assert by_kernel(model, piece.encode()) == by_library(tokenizer, piece)


AB = {"a": 0, "b": 1, "ab": 2}


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (models.BPE(AB, [("a", "b")], dropout=0.1), "dropout 0.1"),
        (models.BPE(AB, [], continuing_subword_prefix="##"), "continuing_subword_prefix '##'"),
        (models.BPE(AB, [], end_of_word_suffix="</w>"), "end_of_word_suffix '</w>'"),
        (models.BPE({"a": 0, "b": 0}, []), "two pieces have the same id"),
        (models.WordLevel({"a": 2**31}, "a"), "2147483648 needs more than 32 bits"),
        (models.Unigram([("a", 0.0)], 0, False, 0.5, 3), "samples with alpha 0.5"),
    ],
)
def test_models_that_are_not_covered_say_why(model, reason):
    with pytest.raises(NotCovered, match=reason):
        piece_model(Tokenizer(model))


def test_byte_level_words_are_covered_for_bpe_alone():
    tokenizer = Tokenizer(models.WordLevel(AB, "a"))
    tokenizer.pre_tokenizer = Sequence([Digits(), ByteLevel()])

    with pytest.raises(NotCovered, match="1 ByteLevel pre-tokenizers before a model WordLevel"):
        piece_model(tokenizer)
