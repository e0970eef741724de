"""Merging pairs equals an obvious program on random words, and the library's trainer on text."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_learners import ALPHABET, WORDS, Pair, Word, arrays, as_pairs, slow_frequent
from tokenization_examples import SENTENCES, learn_text, lines_of, settings
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from lmprep.settings import VocabSettings
from lmprep.tokenization.families import front_tokens
from lmprep.tokenization.merges import merge_frequent, texts_of
from lmprep.tokenization.pipelines import bare_tokenizer


def joins(words: list[Word], most: int) -> list[Pair]:
    return as_pairs(merge_frequent(*arrays(words), ALPHABET, most))


def test_the_most_frequent_pair_comes_first_and_the_smaller_of_two_equals():
    # "ab" 3 times, "bc" and "cd" twice: then abc has no "bc" of its own any more.
    words = [([0, 1], 1), ([0, 1, 2, 3], 2)]

    assert joins(words, 9) == [(0, 1), (2, 3), (4, 5)]


def test_of_three_equal_symbols_the_first_two_are_joined():
    assert joins([([0, 0, 0], 1)], 9) == [(0, 0), (4, 0)]


def test_a_pair_that_comes_and_goes_in_one_join_is_not_joined():
    # X = aa: while the second aa is joined, the pair (X, a) that the first one made goes.
    assert joins([([0, 0, 0, 0], 1)], 9) == [(0, 0), (4, 4)]


@given(words=WORDS, most=st.integers(0, 40))
def test_joins_equal_those_of_counting_anew(words, most):
    assert joins(words, most) == slow_frequent(words, most)


@given(
    words=st.lists(
        st.tuples(st.lists(st.integers(0, 1), min_size=1, max_size=40), st.integers(1, 3)),
        min_size=1,
        max_size=6,
    )
)
def test_two_merges_never_make_the_same_piece(words):
    texts = texts_of(merge_frequent(*arrays(words), ALPHABET, 100), "abcd")

    assert len(set(texts)) == len(texts)


def test_counts_beyond_32_bits_keep_their_order():
    words = [([0, 1], 2**40), ([2, 3], 2**40 + 1)]

    assert joins(words, 9) == [(2, 3), (0, 1)]


def test_many_words_make_the_tables_grow_and_change_nothing():
    draw = random.Random(1)
    words = [
        (draw.choices(range(ALPHABET), [8, 1, 1, 1], k=40), draw.randint(1, 9)) for _ in range(400)
    ]

    assert joins(words, 60) == slow_frequent(words, 60)


def test_a_large_alphabet_has_more_pairs_than_the_tables_begin_with():
    draw = random.Random(2)
    words = [(draw.choices(range(90), k=30), draw.randint(1, 9)) for _ in range(300)]

    keys = merge_frequent(*arrays(words), 90, 30)

    assert as_pairs(keys) == slow_frequent(words, 30, 90)


def merges_of(tokenizer: Tokenizer) -> list[list[str]]:
    return json.loads(tokenizer.to_str())["model"]["merges"]


def by_the_library(texts: list[str], wanted: VocabSettings) -> Tokenizer:
    """A BPE vocabulary by the trainer of `tokenizers`."""
    reference = bare_tokenizer(wanted)
    every_byte = pre_tokenizers.ByteLevel.alphabet() if wanted.algorithm == "byte-bpe" else []
    trainer = trainers.BpeTrainer(
        vocab_size=wanted.size,
        special_tokens=list(front_tokens(wanted)),
        initial_alphabet=every_byte,
        show_progress=False,
    )
    reference.train_from_iterator(texts, trainer)
    return reference


@pytest.mark.parametrize("algorithm", ["bpe", "byte-bpe"])
def test_bpe_equals_the_trainer_of_the_library(algorithm):
    wanted = settings(algorithm, size=400)
    ours, theirs = learn_text([SENTENCES], wanted), by_the_library(SENTENCES, wanted)

    assert ours.get_vocab() == theirs.get_vocab()
    assert merges_of(ours) == merges_of(theirs)


@pytest.mark.parametrize("algorithm", ["bpe", "byte-bpe"])
@given(
    texts=st.lists(
        st.lists(
            st.sampled_from(["a", "b", " ", "aa", "bbb", "aaaaa", "é", "b" * 9]), max_size=20
        ).map("".join),
        max_size=8,
    )
)
def test_bpe_equals_the_library_to_the_last_merge_on_runs_of_few_letters(algorithm, texts):
    """Ties everywhere, pairs that overlap, and words that are used up."""
    wanted = settings(algorithm, size=3000)
    if not "".join(texts).strip():
        texts.append("aaa")
    ours, theirs = learn_text([texts], wanted), by_the_library(texts, wanted)

    assert merges_of(ours) == merges_of(theirs)
    assert ours.get_vocab() == theirs.get_vocab()


def novels(path: Path) -> list[str]:
    records = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [line for record in records for line in json.loads(record)["text"].split("\n")]


@pytest.mark.parametrize("algorithm", ["bpe", "byte-bpe"])
@pytest.mark.parametrize("corpus", ["tinyshakespeare", "novels", "multilingual"])
def test_bpe_equals_the_library_on_real_text(shared, algorithm, corpus):
    if corpus == "novels":
        texts = novels(shared / "novels" / "valid.jsonl.gz")
    else:
        files = sorted((shared / corpus).glob("*.txt*"))
        if algorithm == "bpe":  # rare ones of thousands of characters would be left out
            files = [f for f in files if f.name[:2] not in ("zh", "ja", "ko", "em")]
        texts = [line for file in files for line in lines_of(file)]
    wanted = settings(algorithm, size=6000)
    ours, theirs = learn_text([texts], wanted), by_the_library(texts, wanted)

    assert merges_of(ours) == merges_of(theirs)
    assert ours.get_vocab() == theirs.get_vocab()


def test_special_tokens_in_the_text_are_cut_before_they_are_learnt():
    """The library would merge `</s>` and give the piece the id of the special token."""
    texts = ["a</s>b </s></s>"] * 9
    ours = learn_text([texts], settings("bpe", size=60))

    assert "</s>" in ours.get_vocab()
    assert ["<", "/"] not in merges_of(ours)
    assert not any("</" in left + right for left, right in merges_of(ours))
    assert ["/", "s"] in merges_of(ours)


def library_wordpiece(texts: list[str], ours: Tokenizer, wanted: VocabSettings) -> Tokenizer:
    """WordPiece by the library, its alphabet registered beforehand, so that no tie is left open."""
    pieces = set(ours.get_vocab()) - set(front_tokens(wanted))
    characters = sorted(p for p in pieces if len(p) == 1)
    inside = sorted(p for p in pieces if len(p) == 3 and p.startswith("##"))
    reference = bare_tokenizer(wanted)
    reference.model = models.WordPiece(unk_token="[UNK]")
    trainer = trainers.WordPieceTrainer(
        vocab_size=wanted.size,
        special_tokens=[*front_tokens(wanted), *characters, *inside],
        show_progress=False,
    )
    reference.train_from_iterator(texts, trainer)
    return reference


def test_wordpiece_equals_the_trainer_of_the_library_made_deterministic():
    wanted = settings("wordpiece", size=260)
    ours = learn_text([SENTENCES], wanted)

    assert ours.get_vocab() == library_wordpiece(SENTENCES, ours, wanted).get_vocab()


@pytest.mark.parametrize("corpus", ["tinyshakespeare", "novels"])
def test_wordpiece_equals_the_library_on_real_text(shared, corpus):
    texts = (
        novels(shared / "novels" / "valid.jsonl.gz")
        if corpus == "novels"
        else lines_of(next((shared / corpus).glob("*.txt*")))
    )
    wanted = settings("wordpiece", size=6000)
    ours = learn_text([texts], wanted)

    assert ours.get_vocab() == library_wordpiece(texts, ours, wanted).get_vocab()
