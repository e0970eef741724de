"""Vocabularies are of the size asked for, hold their family's tokens, and never vary."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys

import pytest
from tokenization_examples import COMBINATIONS, SENTENCES, learn_text, learnt, settings

from lmprep.settings import ALGORITHMS, VocabSettings
from lmprep.tokenization.counted_words import CountedWords, joined
from lmprep.tokenization.families import TABLE, end_tokens, front_tokens, special_tokens
from lmprep.tokenization.learning import learn
from lmprep.tokenization.word_sum import add_up

FINGERPRINTS = """
import hashlib
from tokenization_examples import SENTENCES, learn_text, settings
from lmprep.settings import ALGORITHMS, CRITERIA
for a, c in [*((a, CRITERIA[0]) for a in ALGORITHMS), *(("wordpiece", c) for c in CRITERIA[1:])]:
    learnt = learn_text([SENTENCES], settings(a, criterion=c))
    print(a, c, hashlib.sha256(learnt.to_str().encode()).hexdigest())
"""


@pytest.mark.parametrize(("algorithm", "family"), COMBINATIONS)
def test_the_size_is_exact_and_special_tokens_are_in_their_places(algorithm, family):
    wanted = settings(algorithm, family)
    tokenizer = learnt(algorithm, family)
    front, end = front_tokens(wanted), end_tokens(wanted)

    assert tokenizer.get_vocab_size() == wanted.size
    assert sorted(tokenizer.get_vocab().values()) == list(range(wanted.size))
    assert [tokenizer.id_to_token(i) for i in range(len(front))] == list(front)
    tail = range(wanted.size - len(end), wanted.size)
    assert [tokenizer.id_to_token(i) for i in tail] == list(end)


def test_the_families_have_the_tokens_of_the_table():
    assert front_tokens(settings("word")) == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    assert front_tokens(settings("bpe")) == ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    assert end_tokens(settings("byte-bpe", "gpt2")) == ("<|endoftext|>",)
    assert end_tokens(settings("unigram"))[-1] == "<extra_id_0>"
    assert len(end_tokens(settings("unigram"))) == 100
    assert end_tokens(settings("unigram", "ul2"))[:4] == ("[R]", "[S]", "[X]", "<extra_id_255>")
    assert len(end_tokens(settings("unigram", "t5", sentinels=7, size=200))) == 7


@pytest.mark.parametrize(("algorithm", "family"), COMBINATIONS)
def test_text_comes_back_from_its_ids(algorithm, family):
    tokenizer = learnt(algorithm, family)
    ids = tokenizer.encode("the cat sat on the mat").ids

    words = "the cat on the mat" if algorithm == "word" else "the cat sat on the mat"
    assert set(words.split()) <= set(tokenizer.decode(ids).split())


def test_no_vocabulary_depends_on_hash_seeds_or_threads():
    outputs = set()
    for seed, threads in (("0", "1"), ("4242", "4")):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "RAYON_NUM_THREADS": threads,
            "NUMBA_NUM_THREADS": threads,
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        }
        command = [sys.executable, "-c", FINGERPRINTS]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        outputs.add(done.stdout)

    assert len(outputs) == 1
    names = [line.split()[0] for line in outputs.pop().splitlines()]
    assert names == [*ALGORITHMS, "wordpiece", "wordpiece"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_neither_batches_nor_order_of_the_text_matter(algorithm):
    batches = ([sentence] for sentence in reversed(SENTENCES))  # a generator: read once

    assert learn_text(batches, settings(algorithm)).to_str() == learnt(algorithm).to_str()


def least_size(algorithm: str, family: str) -> int:
    """The least size that would do, as the errors tell it: for the family, then for the text."""
    size = 1
    while True:
        try:
            learn_text([SENTENCES], settings(algorithm, family, size=size))
        except ValueError as error:
            told = re.search(r"size \d+ is too small .* at least (\d+)", str(error))
            assert int(told[1]) > size
            size = int(told[1])
        else:
            return size


@pytest.mark.parametrize(("algorithm", "family"), COMBINATIONS)
def test_a_size_below_the_alphabet_is_refused_with_the_least_that_would_do(algorithm, family):
    least = least_size(algorithm, family)

    smallest = learn_text([SENTENCES], settings(algorithm, family, size=least))
    assert smallest.get_vocab_size() == least
    with pytest.raises(ValueError, match=f"at least {least}"):
        learn_text([SENTENCES], settings(algorithm, family, size=least - 1))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("batches", [[], [[]], [["", ""]]])
def test_empty_text_is_refused(algorithm, batches):
    with pytest.raises(ValueError, match="the text is empty"):
        learn_text(batches, settings(algorithm))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_poor_text_gives_a_smaller_vocabulary_and_a_warning(algorithm, caplog):
    with caplog.at_level(logging.WARNING, "lmprep"):
        tokenizer = learn_text([["the cat"]], settings(algorithm, size=2000))

    assert tokenizer.get_vocab_size() < 400
    assert f"a vocabulary of {tokenizer.get_vocab_size()} only, not 2000" in caplog.text


@pytest.mark.parametrize("algorithm", ["wordpiece", "bpe", "unigram"])
def test_characters_beyond_the_limit_are_reported_and_unknown(algorithm, caplog):
    many = "".join(chr(c) for c in range(0x4E00, 0x4E00 + 1200))
    wanted = settings(algorithm, size=1200)
    with caplog.at_level(logging.WARNING, "lmprep"):
        tokenizer = learn_text([[many, "ab " * 9]], wanted)
    unknown = tokenizer.token_to_id(TABLE[wanted.family].roles["unk"])

    spaces = 0 if algorithm == "wordpiece" else 1
    assert f"{202 + spaces} rare characters ({202 + spaces} occurrences" in caplog.text
    assert unknown in tokenizer.encode(chr(0x4E00 + 1199)).ids
    assert unknown not in tokenizer.encode(chr(0x4E00) + " ab").ids


def test_scripts_of_thousands_of_characters_keep_nearly_all_of_them():
    characters = [chr(0x4E00 + i) for i in range(1500)]
    texts = [["".join(characters)] * 3, ["\u9fa0"]]  # 4501 characters: 99.95 % are the 1500
    tokenizer = learn_text(texts, settings("wordpiece", size=8000))

    assert set(characters) <= set(tokenizer.get_vocab())
    assert tokenizer.token_to_id("\u9fa0") is None


@pytest.mark.parametrize(("algorithm", "family"), COMBINATIONS)
def test_text_full_of_special_tokens_teaches_none_of_them(algorithm, family):
    wanted = settings(algorithm, family, size=1000)
    special = special_tokens(wanted)[:6]
    text = [" ".join(special), "".join(special), "x\t</s>\0</s>\u2585y </s>"] * 20
    tokenizer = learn_text([text], wanted)
    tokenizer.encode_special_tokens = True
    ids = {tokenizer.token_to_id(t) for t in special_tokens(wanted)}
    unknown = tokenizer.token_to_id(TABLE[family].roles.get("unk", "none"))

    for sentence in text:
        assert set(tokenizer.encode(sentence, add_special_tokens=False).ids) & ids <= {unknown}


def test_words_are_ranked_by_count_then_by_text():
    tokenizer = learn_text([["b a c b", "c B d"]], VocabSettings(algorithm="word", size=8))

    assert [tokenizer.id_to_token(i) for i in (5, 6, 7)] == ["b", "c", "a"]


def test_cased_keeps_capitals_and_accents():
    text = [["Été été"]]
    cased = learn_text(text, VocabSettings(algorithm="word", size=9, cased=True))
    uncased = learn_text(text, VocabSettings(algorithm="word", size=9))

    assert cased.encode("Été").tokens == ["[CLS]", "Été", "[SEP]"]
    assert uncased.encode("Été").tokens == ["[CLS]", "ete", "[SEP]"]


def test_templates_are_those_of_the_families():
    def tokens(algorithm: str, family: str) -> tuple[str, ...]:
        encoding = learnt(algorithm, family).encode("the", "cat")
        return tuple(
            t for t, m in zip(encoding.tokens, encoding.special_tokens_mask, strict=True) if m
        )

    assert tokens("wordpiece", "bert") == ("[CLS]", "[SEP]", "[SEP]")
    assert tokens("bpe", "roberta") == ("<s>", "</s>", "</s>", "</s>")
    assert tokens("byte-bpe", "gpt2") == ("<|endoftext|>", "<|endoftext|>")
    assert tokens("unigram", "t5") == tokens("unigram", "ul2") == ("</s>", "</s>")
    assert set(learnt("bpe", "bert").encode("the", "cat").type_ids) == {0, 1}
    assert set(learnt("bpe", "roberta").encode("the", "cat").type_ids) == {0}


@pytest.mark.parametrize(
    ("algorithm", "criterion"),
    [
        ("bpe", "frequency"),
        ("byte-bpe", "frequency"),
        ("wordpiece", "frequency"),
        ("wordpiece", "likelihood"),
        ("wordpiece", "top-down"),
    ],
)
def test_pairs_around_and_beyond_32_bits_are_joined_in_the_order_of_their_counts(
    algorithm, criterion
):
    counts = {"gh": 2**31 - 1, "ab": 2**40, "ef": 2**31, "cd": 2**33}
    front = "▁" if algorithm == "bpe" else ""
    words = CountedWords.of([front + word for word in counts], list(counts.values()))
    found = []
    for size in range(12, 300):
        wanted = VocabSettings(algorithm=algorithm, criterion=criterion, size=size)
        try:
            vocabulary = learn(add_up([joined([words])]), wanted).get_vocab()
        except ValueError:
            continue  # too small for the letters
        found += [w for w in counts if front + w in vocabulary and w not in found]
        if len(found) == len(counts):
            break

    assert found == ["ab", "cd", "ef", "gh"]
