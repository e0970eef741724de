"""The parts of the scans: eight bytes at once, keys and cache, kinds of characters, GPT-2's cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenization_examples import documents_of, folder_of, learnt
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from lmprep.jit import kernel
from lmprep.tokenization import Encoder
from lmprep.tokenization.block_words import BlockWords
from lmprep.tokenization.scanning import bits, word_cache
from lmprep.tokenization.scanning import words as keys
from lmprep.tokenization.scanning.code_points import (
    ISOLATED,
    LETTER,
    NOT_LOADED,
    NUMBER,
    OTHER,
    PART,
    SPACE,
    UNSAFE,
    CodePointTable,
)
from lmprep.tokenization.scanning.probes import bert_probe, chunk_probe, gpt2_probe

CLASSES = (
    lambda c: c.isascii() and c.isalpha(),
    lambda c: c.isascii() and c.isdigit(),
    lambda c: "!" <= c <= "~" and not c.isalnum(),
    lambda c: c == " ",
    lambda c: c == "\n",
)
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).map(str.encode)


@kernel
def marks_of(word):
    return bits.not_above_space(word)


@kernel
def classes_of(text, start):
    return bits.classes(text, start)


@kernel
def first_bytes(text, count):
    word = bits.load8(text, 0)
    return bits.low_bytes(word, count), bits.first_byte(bits.not_above_space(word))


@kernel
def entry_of(cache, low, high):
    place = word_cache.place_of(cache.short, keys.code_of(low, high))
    return word_cache.find_short(cache.short, place, low, high)


@kernel
def key_and_back(text, length, back):
    low, high = keys.key_of(text, 0, length)
    keys.write_key(low, high, back, 0)
    return low, high, keys.key_length(high)


def as_array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


@given(st.binary(min_size=8, max_size=8))
def test_marks_stand_where_a_byte_is_a_space_or_below(data):
    marks = marks_of(np.frombuffer(data, np.uint64)[0])

    assert list(int(marks).to_bytes(8, "little")) == [0x80 * (byte > 0x20) ^ 0x80 for byte in data]


def test_every_byte_is_in_its_class_wherever_it_stands():
    text = bytes(range(256)) * 2
    for start in range(256):
        block = [chr(byte) for byte in text[start : start + 64]]
        found = classes_of(as_array(text), start)

        for bit_row, is_in in zip(found, CLASSES, strict=True):
            assert int(bit_row) == sum(is_in(c) << i for i, c in enumerate(block))


@given(st.binary(max_size=12), st.integers(0, 8))
def test_bytes_beyond_the_end_of_the_text_are_zeros(data, count):
    low, above = first_bytes(as_array(data), count)
    word = data[:8].ljust(8, b"\0")

    assert int(low).to_bytes(8, "little") == word[:count].ljust(8, b"\0")
    assert above == next((i for i, byte in enumerate(word) if byte <= 0x20), 8)


@given(st.lists(st.sampled_from(["", "a", " ", "\r", "é", "many words\t"])))
def test_line_offsets_are_those_of_the_newlines(lines):
    text = "".join(f"{line}\n" for line in lines).encode()
    expected = [0, *np.cumsum([len(line.encode()) + 1 for line in lines], dtype=int)]

    assert bits.line_offsets(as_array(text)).tolist() == expected


@given(st.binary(max_size=15), st.binary(max_size=15))
def test_a_key_is_the_word_itself_with_its_length(one, other):
    keys = []
    for data in (one, other):
        back = np.zeros(32, np.uint8)
        low, high, length = key_and_back(as_array(data + b"more"), len(data), back)
        keys.append((low, high))
        assert length == len(data)
        assert back[: len(data)].tobytes() == data

    assert (keys[0] == keys[1]) == (one == other)


def bert(**switches: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.BertNormalizer(**switches)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


@pytest.mark.parametrize(
    ("character", "kind", "text"),
    [
        ("a", PART, "a"), ("A", PART, "a"), ("É", PART, "e"), ("\u0301", PART, ""),
        ("\0", PART, ""), (" ", SPACE, ""), ("\u2028", SPACE, ""), (".", ISOLATED, "."),
        ("\u2019", ISOLATED, "\u2019"), ("中", ISOLATED, "中"), ("\u2260", ISOLATED, "="),
        ("İ", PART, "i"),
        ("\u302e", UNSAFE, ""), ("\U000e0080", UNSAFE, ""), ("한", PART, "\u1112\u1161\u11ab"),
    ],
)  # fmt: skip
def test_berts_kinds_of_characters(character, kind, text):
    assert bert_probe(bert())(character) == (kind, text.encode())


def test_marks_are_safe_where_nothing_reorders_them():
    assert bert_probe(bert(lowercase=False))("\u094d") == (PART, "\u094d".encode())


@pytest.mark.parametrize(
    ("character", "kind"),
    [("a", LETTER), ("中", LETTER), ("7", NUMBER), ("²", NUMBER), ("\n", SPACE), ("\xa0", SPACE),
     ("'", OTHER), ("😀", OTHER), ("\u0301", OTHER), ("\0", OTHER)],
)  # fmt: skip
def test_gpt2s_kinds_of_characters(character, kind):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)

    assert gpt2_probe(tokenizer)(character)[0] == kind


def test_characters_that_normalization_may_change_or_join_are_not_safe_in_chunks():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFKC()
    probe = chunk_probe(tokenizer, " ", "<")
    kinds = {c: probe(c)[0] for c in "aé\u2019 <ﬁ\u0301\u3099\u1161한"}

    assert kinds == {
        "a": PART, "é": PART, "\u2019": PART, " ": SPACE, "<": UNSAFE, "ﬁ": UNSAFE,
        "\u0301": UNSAFE, "\u3099": UNSAFE, "\u1161": UNSAFE, "한": PART,
    }  # fmt: skip


def test_pages_are_filled_when_they_are_asked_for():
    asked = []
    table = CodePointTable(lambda character: asked.append(character) or (PART, b"x"))
    table.load(0x4E2D)

    assert len(asked) == 512
    assert table.tables.kinds[0x4E2D] == PART
    assert table.tables.kinds[0x4F00] == NOT_LOADED


@given(st.lists(words, max_size=30, unique=True))
def test_what_is_numbered_is_counted_word_by_word(found):
    text = b" ".join(b"%d" % len(word) + word.hex().encode() for word in found) + b" "
    expected = sorted((b"%d" % len(word) + word.hex().encode(), 2) for word in found)
    finder = BlockWords(bert())
    counted = finder.count_block(as_array(text * 2), np.array([0, 2 * len(text)]))
    bounds = counted.offsets.tolist()
    data = counted.text.tobytes()
    pairs = [(data[a:b], c) for a, b, c in zip(bounds, bounds[1:], counted.counts, strict=False)]

    assert sorted(pairs) == expected


def test_a_cache_that_grows_or_starts_anew_changes_nothing():
    text = " ".join(f"word{i} a{i:020d}" for i in range(30_000))
    folder = folder_of(learnt("wordpiece"))
    tokens = [
        Encoder(folder, most_slots=slots).encode(documents_of([text, text])).ids
        for slots in (64, 1 << 20)
    ]

    assert np.array_equal(tokens[0], tokens[1])


def test_a_key_that_was_never_kept_is_not_found():
    cache = word_cache.new_cache(4, 4)

    assert entry_of(cache, np.uint64(1), np.uint64(2 << 56)) < 0
