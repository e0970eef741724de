"""WordPiece by the kernel: the longest piece first, within and at the start of words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from piece_examples import assert_as_the_library, by_kernel, letters, words
from tokenizers import Tokenizer
from tokenizers.models import WordLevel, WordPiece

from lmprep.tokenization.pieces import piece_model

prefixes = st.sampled_from(["##", "#", "", "é", "ab"])


def wordpiece(
    pieces: list[str], prefix: str = "##", longest: int = 100, unk: str = "[UNK]"
) -> Tokenizer:
    """A tokenizer whose ids have gaps."""
    vocabulary = {piece: 3 * i + 1 for i, piece in enumerate(dict.fromkeys(pieces))}
    return Tokenizer(
        WordPiece(
            vocabulary,
            unk_token=unk,
            max_input_chars_per_word=longest,
            continuing_subword_prefix=prefix,
        )
    )


def ids_of(tokenizer: Tokenizer, word: str) -> list[str] | None:
    ids = by_kernel(piece_model(tokenizer), word.encode())
    return ids and [tokenizer.id_to_token(i) for i in ids]


def test_the_longest_piece_is_taken_even_if_the_rest_then_has_none():
    tokenizer = wordpiece(["[UNK]", "un", "una", "##aff", "##able", "##ff"])

    assert ids_of(tokenizer, "unffable") == ["un", "##ff", "##able"]
    assert ids_of(tokenizer, "unaff") == ["una", "##ff"]
    assert ids_of(tokenizer, "unaffx") == ["[UNK]"]
    assert ids_of(tokenizer, "unaable") == ["una", "##able"]
    assert ids_of(tokenizer, "unab") == ["[UNK]"]


def test_a_word_may_have_as_many_characters_as_the_limit_says_however_many_bytes_they_are():
    tokenizer = wordpiece(["[UNK]", "€", "##€"], longest=3)

    assert ids_of(tokenizer, "€€€") == ["€", "##€", "##€"]
    assert ids_of(tokenizer, "€€€€") == ["[UNK]"]


def test_the_prefix_as_a_piece_of_its_own_is_no_piece_within_a_word():
    tokenizer = wordpiece(["[UNK]", "a", "##", "##b"])

    assert ids_of(tokenizer, "ab") == ["a", "##b"]
    assert ids_of(tokenizer, "ac") == ["[UNK]"]
    assert ids_of(tokenizer, "##") == ["##"]


@given(
    st.lists(letters, max_size=8), st.lists(letters, max_size=12), prefixes,
    st.integers(0, 12), st.booleans(), st.lists(words),
)  # fmt: skip
def test_wordpiece_equals_the_library(first, continuing, prefix, longest, knows_unk, examples):
    pieces = ["[UNK]"] * knows_unk + first + [prefix + piece for piece in continuing]

    assert_as_the_library(wordpiece(pieces, prefix, longest), ["", "#a", "##b", *examples])


@given(st.lists(letters, max_size=8), st.booleans(), st.lists(words))
def test_a_vocabulary_of_words_equals_the_library(pieces, knows_unk, examples):
    vocabulary = {piece: 3 * i for i, piece in enumerate(["[UNK]"] * knows_unk + pieces)}

    assert_as_the_library(Tokenizer(WordLevel(vocabulary, "[UNK]")), ["", *pieces, *examples])
