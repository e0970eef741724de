"""The encoder gives, token for token, what the library gives; whatever its cache remembers."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenization_examples import (
    COMBINATIONS,
    DATA,
    SENTENCES,
    by_sentence,
    by_the_library,
    documents_of,
    folder_of,
    learnt,
    lines_of,
    needs_data,
)
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from lmprep.settings import ALGORITHMS
from lmprep.tokenization import Encoder
from lmprep.tokenization.rules import BERT, BYTE_LEVEL, METASPACE, SENTENCE, WHITESPACE, cut_rule
from lmprep.tokenization.scanning import parts

LANGUAGE = {"[UNK]": 0, "[MASK]": 1, "l": 2, "##a": 3, "##n": 4, "##g": 5, "##u": 6, "##e": 7}
MARKS = {",": 8, "a": 9, "[": 10, "]": 11, "mask": 12, "##1": 13}

# Spaces of all sorts, what vanishes or joins, what composes, and special tokens of all families.
TRICKY = [*" \t\n\r\x0b\x0c\x00\x1c\x85\xa0\u1680\u2003\u2028\u202f\u205f\u3000\u200b\ufeff\ufffd"]
TRICKY += [*"\u0301\u0300\u0345\u3099\u00b4\ufb01\u0130\u03a3\u1e9b\u2581\u2585#'", "İ", "한", "中"]
TRICKY += ["[MASK]", "</s>", "<s>", "<unk>", "<|endoftext|>", "<extra_id_0>", "\uff1c/s>", "don't"]
TRICKY += ["word", "Word7", "7th", "...", "'s", "--", "twelve-letter", "a" * 14, "b" * 15, "c" * 16]
texts = st.lists(st.sampled_from(TRICKY) | st.text(max_size=4) | st.just(" ")).map("".join)

# The last 80 bytes of a block are cut more carefully than what is before them.
endings = st.sampled_from([[], ["Ab" * 30, "and " * 30]])


def bert_like(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(["[UNK]", "[MASK]"])
    return tokenizer


def encoder_of(tokenizer: Tokenizer, **bounds: int) -> Encoder:
    family = "bert" if tokenizer.token_to_id("[CLS]") is not None else "t5"
    for token in ("[CLS]", "[SEP]", "</s>"):
        if tokenizer.token_to_id(token) is None:
            tokenizer = Tokenizer.from_str(tokenizer.to_str())
            tokenizer.add_special_tokens([token])
    return Encoder(folder_of(tokenizer, family), **bounds)


def encoded(tokenizer: Tokenizer, sentences: list[str], **bounds: int) -> list:
    return by_sentence(encoder_of(tokenizer, **bounds).encode(documents_of(sentences)))


def variants() -> dict[str, Tokenizer]:
    """Tokenizers such as others make, beside our own."""
    made = {f"{a}-{f}": learnt(a, f) for a, f in COMBINATIONS if f in ("bert", "gpt2", "ul2")}
    for name, normalizer, words in [
        ("whitespace", None, pre_tokenizers.Whitespace()),
        ("lower", normalizers.Lowercase(), pre_tokenizers.WhitespaceSplit()),
        ("nfkd", normalizers.NFKD(), pre_tokenizers.BertPreTokenizer()),
        ("first", normalizers.NFC(), pre_tokenizers.Metaspace(prepend_scheme="first")),
        ("never", normalizers.NFKC(), pre_tokenizers.Metaspace(prepend_scheme="never")),
        ("unsplit", None, pre_tokenizers.Metaspace(split=False)),
        ("deleting", normalizers.BertNormalizer(), pre_tokenizers.Metaspace()),
        ("prefix", None, pre_tokenizers.ByteLevel(add_prefix_space=True)),
        ("nothing", None, None),
    ]:
        tokenizer = Tokenizer.from_str(learnt("byte-bpe" if name == "prefix" else "bpe").to_str())
        tokenizer.normalizer = normalizer
        tokenizer.pre_tokenizer = words
        made[name] = tokenizer
    added = Tokenizer.from_str(learnt("wordpiece").to_str())
    added.add_tokens(["the cat"])
    return made | {"added": added}


VARIANTS = variants()
ENCODERS = {name: encoder_of(tokenizer) for name, tokenizer in VARIANTS.items()}
ENCODERS_OF_LINES = {algorithm: encoder_of(learnt(algorithm)) for algorithm in ALGORITHMS}


def test_a_word_is_cut_into_its_longest_pieces_and_starts_once():
    assert encoded(bert_like(LANGUAGE), ["language"]) == [
        ([2, 3, 4, 5, 6, 3, 5, 7], [True] + 7 * [False])
    ]


def test_punctuation_is_a_word_of_its_own():
    assert encoded(bert_like(LANGUAGE | MARKS), ["La,a  l"]) == [
        ([2, 3, 8, 9, 2], [True, False, True, True, True])
    ]


def test_an_unknown_word_becomes_the_unknown_token():
    assert encoded(bert_like(LANGUAGE), ["lxa l"]) == [([0, 2], [True, True])]


def test_text_that_looks_like_a_special_token_stays_text():
    assert encoded(bert_like(LANGUAGE | MARKS), ["[MASK]"]) == [([10, 12, 11], 3 * [True])]


@pytest.mark.parametrize(("algorithm", "family"), COMBINATIONS)
def test_no_text_leads_to_a_special_token(algorithm, family):
    folder = folder_of(learnt(algorithm, family), family)
    special = [t.content for t in folder.tokenizer.get_added_tokens_decoder().values()]
    tokens = Encoder(folder).encode(documents_of([*special, " ".join(special), "".join(special)]))

    assert set(tokens.ids.tolist()) & set(folder.vocabulary.special) <= {folder.vocabulary.unk}


def matching_special_text() -> Tokenizer:
    """A Unigram tokenizer as others make them: the model itself matches the text `<s>`."""
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("\u2581", -2.0), ("a", -1.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens([token for token, _ in pieces[:3]])
    return tokenizer


def test_a_special_token_that_a_foreign_model_matches_in_text_becomes_unknown():
    tokenizer = matching_special_text()
    sentences = ["a <s> aa</s>a <unk>", "a" * 90 + "<s>"]  # the second is too long for the table

    assert by_the_library(tokenizer, ["a <s>"])[0][0] == [3, 4, 3, 1]
    found = [ids for ids, _ in encoded(tokenizer, sentences)]
    assert found == [[3, 4, 3, 0, 3, 4, 4, 0, 4, 3, 0], [3, *[4] * 90, 0]]
    assert encoded(tokenizer, ["a <s>", "<s>"], most_slots=4)[1][0] == [3, 0]


def test_without_an_unknown_token_such_text_is_refused_by_name():
    folder = folder_of(matching_special_text(), "t5")
    vocabulary = dataclasses.replace(folder.vocabulary, unk=None)
    encoder = Encoder(dataclasses.replace(folder, vocabulary=vocabulary))

    with pytest.raises(ValueError, match="the special token <s> out of plain text"):
        encoder.encode(documents_of(["a <s>"]))
    assert by_sentence(encoder.encode(documents_of(["aa"])))[0][0] == [3, 4, 4]


@pytest.mark.parametrize("name", VARIANTS)
@given(sentences=st.lists(texts, max_size=6), ending=endings)
def test_any_text_is_encoded_as_the_library_does(name, sentences, ending):
    sentences = sentences + ending
    tokens = ENCODERS[name].encode(documents_of(sentences))

    assert by_sentence(tokens) == by_the_library(VARIANTS[name], sentences)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(sentences=st.lists(texts, max_size=6))
def test_results_do_not_depend_on_what_the_table_remembers(algorithm, sentences):
    tokenizer = learnt(algorithm)
    tiny = encoder_of(tokenizer, most_slots=4)
    twice = [by_sentence(tiny.encode(documents_of(sentences))) for _ in range(2)]

    assert twice == 2 * [by_the_library(tokenizer, sentences)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_code_point_next_to_a_space_is_encoded_as_the_library_does(algorithm):
    points = [chr(c) for c in range(0x3100) if not 0xD800 <= c < 0xE000] + ["😀", "\U0010ffff"]
    sentences = [f"a{c} {c} b{c}c" for c in points]

    assert encoded(learnt(algorithm), sentences) == by_the_library(learnt(algorithm), sentences)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "sentences", [SENTENCES, ["!?" * 9] * 40, [" " * 90, "x", *["!?" * 9] * 40], ["y " * 300], []]
)
def test_the_parts_of_several_threads_join_without_a_seam(algorithm, sentences, monkeypatch):
    monkeypatch.setattr(parts, "_FIRST", 20)
    monkeypatch.setattr(parts, "_SMALLEST", 50)
    tokenizer = learnt(algorithm)
    expected = by_the_library(tokenizer, sentences)
    lines = "".join(sentence.replace("\n", " ") + "\n" for sentence in sentences).encode()
    alone = encoder_of(tokenizer).encode_lines(lines)

    for threads in (2, 3):
        assert encoded(tokenizer, sentences, threads=threads) == expected
        found = encoder_of(tokenizer, threads=threads).encode_lines(lines)
        for name in ("ids", "word_start", "offsets"):
            assert np.array_equal(getattr(found, name), getattr(alone, name))


@given(st.integers(0, 5000), st.integers(1, 9))
def test_parts_of_a_text_become_smaller_and_leave_nothing_out(size, threads):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_FIRST", 20)
        patch.setattr(parts, "_SMALLEST", 30)
        text = np.frombuffer((b"one line\n" * 600)[: size // 9 * 9], np.uint8)
        found = [part.offsets() for part in parts.parts_of_lines(text, threads)]

    assert [int(offsets[0]) for offsets in found][1:] == [int(offsets[-1]) for offsets in found][
        :-1
    ]
    assert int(found[0][0]) == 0
    assert int(found[-1][-1]) == len(text)
    sizes = [int(offsets[-1] - offsets[0]) for offsets in found]
    assert all(a + 9 >= b for a, b in pairwise(sizes[1:-1]))
    assert len(found) == 1 or threads > 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(
    sentences=st.lists(texts.map(lambda text: text.replace("\n", " ")), max_size=6), ending=endings
)
def test_lines_are_encoded_as_sentences(algorithm, sentences, ending):
    sentences = sentences + ending
    text = "".join(f"{sentence}\n" for sentence in sentences).encode()
    lines = ENCODERS_OF_LINES[algorithm].encode_lines(text)
    tokens = ENCODERS_OF_LINES[algorithm].encode(documents_of(sentences))

    assert lines.ids.tolist() == tokens.ids.tolist()
    assert lines.word_start.tolist() == tokens.word_start.tolist()
    assert lines.offsets.tolist() == tokens.sentence_offsets.tolist()


def test_a_sentence_of_400_kB_without_spaces_is_encoded():
    sentence = "abcdé" * 70_000

    for algorithm in ALGORITHMS:
        tokenizer = learnt(algorithm)
        assert encoded(tokenizer, [sentence, "a"]) == by_the_library(tokenizer, [sentence, "a"])


def test_an_empty_batch_and_empty_sentences_have_no_tokens():
    nothing = Encoder(folder_of(learnt("wordpiece"))).encode(documents_of([]))
    empty = Encoder(folder_of(learnt("wordpiece"))).encode(documents_of(["", "", " \t"]))

    assert (nothing.ids.tolist(), nothing.sentence_offsets.tolist()) == ([], [0])
    assert (empty.ids.tolist(), empty.sentence_offsets.tolist()) == ([], [0, 0, 0, 0])


def test_document_structure_is_passed_on():
    documents = documents_of(["the cat", "a"])
    tokens = Encoder(folder_of(learnt("wordpiece"))).encode(documents)

    assert tokens.ids.dtype == np.int32
    assert tokens.word_start.dtype == np.bool_
    assert tokens.document_offsets is documents.document_offsets
    assert tokens.numbers is documents.numbers


def test_truncation_and_padding_of_a_foreign_tokenizer_do_not_apply():
    tokenizer = bert_like(LANGUAGE)
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=20)

    assert encoded(tokenizer, ["lan"]) == [([2, 3, 4], [True, False, False])]


def test_dropout_is_refused():
    tokenizer = Tokenizer(models.BPE({"a": 0, "</s>": 1}, [], dropout=0.1))

    with pytest.raises(ValueError, match=r"BPE dropout 0\.1"):
        Encoder(folder_of(tokenizer, "t5"))


def test_bytes_that_are_not_utf8_are_refused_and_leave_the_encoder_usable():
    good = documents_of(["the xyz cat"])
    bad = dataclasses.replace(good, text=np.frombuffer(b"the \xff\xfe\xff cat", np.uint8))
    encoder = Encoder(folder_of(learnt("wordpiece")))

    with pytest.raises(UnicodeDecodeError):
        encoder.encode(bad)
    assert by_sentence(encoder.encode(good)) == by_the_library(learnt("wordpiece"), ["the xyz cat"])


def test_each_kind_of_tokenizer_gets_the_rule_that_is_safe_for_it():
    rules = {name: cut_rule(tokenizer) for name, tokenizer in VARIANTS.items()}

    assert {rules[name] for name in ("wordpiece-bert", "word-ul2")} == {BERT}
    assert {rules[name] for name in ("whitespace", "lower", "nfkd")} == {WHITESPACE}
    assert {rules[name] for name in ("bpe-bert", "unigram-ul2", "first", "never")} == {METASPACE}
    assert {rules[name] for name in ("byte-bpe-gpt2", "byte-bpe-bert")} == {BYTE_LEVEL}
    others = ("unsplit", "deleting", "prefix", "nothing", "added")
    assert {rules[name] for name in others} == {SENTENCE}


COUNT_THREADS = """
import os, sys
from lmprep.tokenization import Encoder, load
from tokenization_examples import documents_of
encoder = Encoder(load(sys.argv[1]))
before = len(os.listdir("/proc/self/task"))
encoder.encode(documents_of([f"word{i}" for i in range(1000)]))
print(before, len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc")
def test_encoding_starts_no_threads_that_a_fork_would_lose(tmp_path):
    learnt("wordpiece").save(str(tmp_path / "tokenizer.json"))
    environment = {k: v for k, v in os.environ.items() if k != "TOKENIZERS_PARALLELISM"}
    done = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS, str(tmp_path / "tokenizer.json")],
        # One thread for numpy's libraries, which start theirs when they like.
        env=environment
        | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )

    before, after = done.stdout.split()
    assert before == after


@needs_data
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_real_text_is_encoded_as_the_library_does(algorithm):
    paths = sorted((DATA / "multilingual").glob("*.txt.gz"))
    paths += [DATA / "adversarial" / "blns.txt", *(DATA / "adversarial" / "derived").glob("n*.txt")]
    paths += [DATA / "adversarial" / "derived" / "zero_width_and_bidi.txt"]
    sentences = [line for path in paths for line in lines_of(path)[:120]]

    assert encoded(learnt(algorithm), sentences) == by_the_library(learnt(algorithm), sentences)


@needs_data
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", ["all_printable_code_points", "bmp_with_controls_and_unassigned"])
def test_all_code_points_are_encoded_as_the_library_does(algorithm, name):
    text = " ".join(lines_of(DATA / "adversarial" / f"{name}.txt.gz"))
    sentences = [text[i : i + 400] for i in range(0, len(text), 400)]

    assert encoded(learnt(algorithm), sentences) == by_the_library(learnt(algorithm), sentences)
