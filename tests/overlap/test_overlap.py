"""Counts of shared documents and n-grams are those of sets of words."""

from __future__ import annotations

import json
import re
import tracemalloc
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.errors import UsageError
from lmprep.overlap import compare, comparison, open_corpora
from lmprep.overlap.ngrams import Table, document_keys, ngram_keys
from lmprep.overlap.words import words_of
from lmprep.ragged import Ragged, offsets_of
from lmprep.settings import CorpusSettings
from tests.corpora import build_dataset, make_tokenizer, write_corpus

LINES = CorpusSettings(documents="line")


def slow_words(text: str) -> list[str]:
    """What the page says a word is, by the names that Unicode gives."""
    whole = "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
    parted = re.sub(f"({whole})", r" \1 ", text)
    parted = re.sub("[\x80-\xbf\u2000-\u206f\u3000-\u303f]", " ", parted)
    full_width = "".join(
        chr(c) for c in range(0xFF01, 0xFF66) if unicodedata.name(chr(c)).split()[1] not in NAMED
    )
    parted = re.sub(f"[{re.escape(full_width)}]", " ", parted)
    found = re.findall("[0-9A-Za-z\x80-\U0010ffff]+", parted)
    return [re.sub("[A-Z]", lambda m: m[0].lower(), word) for word in found]


NAMED = {"LATIN", "DIGIT"}


def rows_of(texts):
    blocks = [text.encode() for text in texts]
    text = np.frombuffer(b"".join(blocks), np.uint8)
    return words_of(text, offsets_of([len(block) for block in blocks]))


def numbered(rows: Ragged) -> list[list[int]]:
    """Hashes as numbers in the order of their first occurrence."""
    seen: dict[int, int] = {}
    return [[seen.setdefault(int(h), len(seen)) for h in row] for row in rows]


texts = st.lists(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.text(alphabet="aB c.9-'é\u201c漢か\uff0c\uff21\uff31\uff10、", max_size=20),
    max_size=6,
)


@given(texts)
def test_words_are_those_of_the_description(values):
    seen: dict[str, int] = {}
    expected = [[seen.setdefault(word, len(seen)) for word in slow_words(text)] for text in values]

    assert numbered(rows_of(values)) == expected


def test_case_and_punctuation_do_not_matter():
    one, other = rows_of(
        ["\u201cDon\u2019t stop!\u201d she said\u2014twice.", "don't STOP -- she said twice"]
    )

    assert one.tolist() == other.tolist()
    assert len(one) == 6


words = st.sampled_from(["a", "b", "c"])
corpora = st.lists(st.lists(words, max_size=8), max_size=8)


def slow_overlap(train, evaluation, n):
    def grams(document):
        return [tuple(document[i : i + n]) for i in range(len(document) - n + 1)]

    held = {gram for document in train for gram in grams(document)}
    whole = {tuple(document) for document in train}
    filled = [document for document in evaluation if document]
    return {
        "n": n,
        "train_documents": sum(map(bool, train)),
        "train_units": sum(map(len, train)),
        "documents": len(filled),
        "units": sum(map(len, filled)),
        "ngrams": sum(len(grams(d)) for d in filled),
        "shared_documents": sum(tuple(d) in whole for d in filled),
        "touched_documents": sum(any(g in held for g in grams(d)) for d in filled),
        "short_documents": sum(not grams(d) for d in filled),
        "shared_ngrams": sum(g in held for d in filled for g in grams(d)),
    }


@given(corpora, corpora, st.integers(1, 5), st.integers(1, 40), st.integers(1, 4))
def test_counts_are_those_of_sets(train, evaluation, n, table_keys, at_a_time):
    def opened(documents):
        rows = [" ".join(document) for document in documents]
        return lambda: (rows_of(rows[i : i + at_a_time]) for i in range(0, len(rows), at_a_time))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "_TABLE_KEYS", table_keys)  # several classes of keys
        found = compare(opened(train), opened(evaluation), n)

    assert vars(found) == slow_overlap(train, evaluation, n)


@given(st.lists(st.lists(st.integers(0, 3), max_size=9), min_size=1, max_size=5), st.integers(1, 4))
def test_no_ngram_reaches_across_a_zero_or_a_document(rows, n):
    units = Ragged.from_rows(rows, np.uint64)
    keys = ngram_keys(units, n)
    by_gram: dict[tuple[int, ...], int] = {}
    for row, start in zip(rows, units.offsets, strict=False):
        for i in range(len(row)):
            gram = tuple(row[max(0, i + 1 - n) : i + 1])
            key = int(keys[start + i])
            if len(gram) < n or 0 in gram:
                assert key == 0
            else:
                assert by_gram.setdefault(gram, key) == key != 0
    assert len(set(by_gram.values())) == len(by_gram)
    left = [[u for u in row if u] for row in rows]
    assert (
        document_keys(units).tolist() == document_keys(Ragged.from_rows(left, np.uint64)).tolist()
    )


@given(st.lists(st.integers(0, 2**64 - 1), max_size=3000), st.data())
def test_a_table_is_a_set_with_marks(values, data):
    table = Table()
    table.add(np.array(values, np.uint64))
    asked = data.draw(st.lists(st.sampled_from([*values, 5, 7]), max_size=20))
    table.mark(np.array(asked, np.uint64))
    held = set(values) - {0}

    assert len(table) == len(held)
    looked_up = np.array([*values, 5, 7], np.uint64)
    expected = [v in held and v in asked for v in looked_up.tolist()]
    assert table.is_marked(looked_up).tolist() == expected


def test_memory_does_not_grow_with_train():
    rng = np.random.default_rng(0)
    block = Ragged(rng.integers(1, 2**63, 50_000).astype(np.uint64), offsets_of([500] * 100))

    def peak(blocks):
        tracemalloc.start()
        compare(lambda: (block for _ in range(blocks)), lambda: iter([block]), 13)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    peak(1)
    assert peak(30) < 1.1 * peak(2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A corpus; a second that shares its last ten documents; datasets of both and of others."""
    folder = tmp_path_factory.mktemp("overlap")
    documents = write_corpus(folder / "train.txt", documents=40).read_text().split("\n\n")
    other = write_corpus(folder / "eval.txt", documents=20, seed=1)
    other.write_text("\n\n".join([other.read_text().rstrip("\n"), *documents[-10:]]))
    tokenizer = make_tokenizer(folder / "train.txt", folder / "tok", family="gpt2")
    for name in ("train", "eval"):
        build_dataset(
            folder / f"{name}.txt", tokenizer, folder / "sets" / name,
            objective="clm", pairs="none", sequences="document", length=400,
        )  # fmt: skip
    return folder


def test_a_shared_part_is_found_in_text(folder, lmprep):
    done = lmprep("overlap", folder / "train.txt", folder / "eval.txt", "--json")
    found = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert found["unit"] == "words"
    assert (found["documents"], found["shared_documents"]) == (30, 10)
    assert 8 <= found["touched_documents"] <= 10
    table = lmprep("overlap", folder / "train.txt", folder / "eval.txt").stdout
    assert re.search(r"documents, whole +30 +10 +33\.33%", table)


def test_datasets_compare_by_tokens_as_their_texts_do(folder):
    train, evaluation = folder / "sets" / "train", folder / "sets" / "eval"
    found = [
        compare(*open_corpora([str(a)], [str(b)], CorpusSettings())[:2], 13)
        for a, b in (
            (train, evaluation),
            (folder / "train.txt", evaluation),
            (train, folder / "eval.txt"),
        )
    ]

    assert open_corpora([str(train)], [str(evaluation)], CorpusSettings())[2] == "tokens"
    assert {one.shared_documents for one in found} == {10}
    assert {one.shared_ngrams for one in found} == {found[0].shared_ngrams}
    assert found[0].shared_ngrams > 100


def test_masked_rows_are_compared_as_they_were(folder, tmp_path):
    tokenizer = make_tokenizer(folder / "train.txt", tmp_path / "tok")
    options = {"pairs": "none", "sequences": "document", "length": 200}
    masked = build_dataset(
        folder / "train.txt", tokenizer, tmp_path / "m", objective="mlm", **options
    )
    again = build_dataset(
        folder / "train.txt", tokenizer, tmp_path / "w", objective="bilm", **options
    )
    train, evaluation, _ = open_corpora([str(masked)], [str(again)], CorpusSettings())
    found = compare(train, evaluation, 13)

    assert found.shared_ngrams == found.ngrams > 0
    assert found.shared_documents == found.documents


def test_what_cannot_be_compared_is_refused(folder, tmp_path):
    corpus, tokenizer = folder / "train.txt", folder / "tok"
    skipgram = build_dataset(corpus, tokenizer, tmp_path / "s", objective="skipgram")
    other = make_tokenizer(folder / "eval.txt", tmp_path / "tok", family="gpt2")
    foreign = build_dataset(corpus, other, tmp_path / "f", objective="clm", pairs="none")
    for train, message in (
        (skipgram, "rows of skipgram do not hold the text"),
        (foreign, "made with another tokenizer"),
        ("-", "cannot be read twice"),
        (folder / "none.txt", "no such file"),
    ):
        with pytest.raises(UsageError, match=message):
            open_corpora([str(train)], [str(folder / "sets" / "eval")], CorpusSettings())
