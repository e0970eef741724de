"""Thinned rows and co-occurrence counts: every check of them sees the fault it is for."""

import shutil

import numpy as np
import pytest
from rewritten import columns_in, failed, manifest_of, restate_file, rewrite, state

from lmprep.batches import take_rows
from lmprep.checks.verify import verify
from tests.corpora import build_dataset, make_tokenizer, write_corpus

SPECIAL = 2  # [CLS]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Builds of both objectives, in several partitions, skip-gram also with a held-out part."""
    folder = tmp_path_factory.mktemp("static")
    corpus = write_corpus(folder / "corpus.txt", documents=400)
    tokenizer = make_tokenizer(corpus, folder / "tok")
    build_dataset(
        corpus,
        tokenizer,
        folder / "skipgram",
        objective="skipgram",
        subsample="1/200",
        copies=2,
        valid="1/4",
        length=30,
    )
    build_dataset(corpus, tokenizer, folder / "cooccurrence", objective="cooccurrence", length=30)
    return folder


@pytest.fixture
def skipgram(built, tmp_path):
    return shutil.copytree(built / "skipgram", tmp_path / "skipgram")


@pytest.fixture
def held_out(built, tmp_path):
    return shutil.copytree(built / "skipgram-valid", tmp_path / "skipgram-valid")


@pytest.fixture
def cooccurrence(built, tmp_path):
    return shutil.copytree(built / "cooccurrence", tmp_path / "cooccurrence")


def test_clean_data_passes_and_is_judged(skipgram, held_out, cooccurrence):
    for folder in (skipgram, held_out, cooccurrence):
        checks = verify(folder)
        assert [check for check in checks if not check.passed] == []
        assert [check.name for check in checks if check.detail == "too few to judge"] == []


# --- Skip-gram. ----------------------------------------------------------------------------------


def test_word_counts_that_are_missing_or_changed_are_found(skipgram):
    path = skipgram / "word_counts.npy"
    counts = np.load(path)
    place = int(np.argmax(counts))
    for change in (1, -int(counts.sum())):
        np.save(path, counts + change * (np.arange(len(counts)) == place))
        assert "word counts" in failed(skipgram)
    path.write_bytes(bytes(path.stat().st_size))
    assert failed(skipgram) == {"word counts"}
    path.unlink()
    assert failed(skipgram) == {"manifest"}


def test_word_counts_of_special_tokens_or_of_other_numbers_are_found(skipgram):
    path = skipgram / "word_counts.npy"
    counts = np.load(path)
    for wrong in (counts.astype(np.int32), counts[:-1]):
        np.save(path, wrong)
        restate_file(skipgram, "word_counts")
        assert failed(skipgram) == {"word counts"}
    special = counts.copy()
    special[[SPECIAL, np.argmax(counts)]] += [1, -1]
    np.save(path, special)
    restate_file(skipgram, "word_counts")
    assert "word counts" in failed(skipgram)


def test_another_threshold_than_stated_is_found(skipgram, held_out):
    def other(content):
        content["settings"]["objective_settings"]["subsample"] = "0.05"

    for folder in (skipgram, held_out):
        state(folder, other)
        assert failed(folder) == {"subsampling"}


def test_an_id_that_always_stays_must_not_be_dropped(built, tmp_path):
    """With a threshold of 1 nothing is thinned out; a row loses one token."""
    corpus = write_corpus(tmp_path / "corpus.txt", documents=60)
    tokenizer = make_tokenizer(corpus, tmp_path / "tok")
    out = build_dataset(
        corpus, tokenizer, tmp_path / "out", objective="skipgram", subsample="1", copies=1
    )

    def fault(columns):
        ids = columns["input_ids"]
        kept = np.ones(len(ids.values), bool)
        kept[3] = False
        offsets = ids.offsets.copy()
        offsets[1:] -= 1
        columns["input_ids"] = type(ids)(ids.values[kept], offsets)

    rewrite(out, fault)
    assert failed(out) == {"counts", "coverage", "subsampling"}


def test_dropped_tokens_are_counted(skipgram):
    def fault(content):
        content["drops"]["subsampled_tokens"] -= 1

    state(skipgram, fault)
    assert failed(skipgram) == {"coverage"}


def test_rows_of_special_tokens_or_beyond_the_length_are_found(skipgram):
    def special(columns):
        columns["input_ids"].values[3] = SPECIAL

    def shorter(content):
        content["settings"]["sequences"]["length"] = 8

    rewrite(skipgram, special)
    assert failed(skipgram) == {"template", "subsampling"}  # an id that never occurs was kept
    state(skipgram, shorter)
    assert "lengths" in failed(skipgram)


def test_copies_that_kept_the_same_tokens_are_found(skipgram):
    for number in range(0, len(manifest_of(skipgram)["shards"]), 2):
        first = columns_in(skipgram, number)
        rewrite(skipgram, lambda columns, first=first: first, number + 1)

    assert {"copies differ"} <= failed(skipgram) <= {"copies differ", "counts"}


# --- Co-occurrence. ------------------------------------------------------------------------------


def test_pairs_out_of_order_or_twice_are_found(cooccurrence):
    def swapped(columns):
        rows = np.arange(len(columns["word"]))
        rows[[3, 4]] = [4, 3]
        return take_rows(columns, rows)

    rewrite(cooccurrence, swapped)
    assert failed(cooccurrence) == {"sorted"}


def test_a_pair_that_is_there_twice_is_found(cooccurrence):
    def twice(columns):
        """The first pair of an id with itself comes once more, in place of the next."""
        same = int(np.argmax(columns["word"] == columns["context"]))
        for column in columns.values():
            column[same + 1] = column[same]

    rewrite(cooccurrence, twice)
    assert failed(cooccurrence) == {"sorted", "symmetric"}


def test_counts_that_are_not_symmetric_are_found(cooccurrence):
    def fault(columns):
        other = int(np.argmax(columns["word"] != columns["context"]))
        columns["weight"][other] += 1

    rewrite(cooccurrence, fault)
    assert failed(cooccurrence) == {"symmetric"}


@pytest.mark.parametrize("weight", [0, -1, np.nan, np.inf, 0.09, 1.00005])
def test_counts_that_are_no_sums_of_distances_are_found(cooccurrence, weight):
    def fault(columns):
        same = int(np.argmax(columns["word"] == columns["context"]))
        columns["weight"][same] = weight

    rewrite(cooccurrence, fault)
    found = failed(cooccurrence)
    assert "weights" in found
    assert found <= {"weights", "total weight"}  # of no number no sum is right


def test_ids_that_are_special_or_outside_the_vocabulary_are_found(cooccurrence):
    for token in (SPECIAL, -1, 100_000):

        def fault(columns, token=token):
            columns["word"][0] = token

        rewrite(cooccurrence, fault)
        assert "ids" in failed(cooccurrence), token


def test_more_than_the_text_can_hold_is_found(cooccurrence):
    def fault(columns):
        columns["weight"] *= np.float32(2)

    rewrite(cooccurrence, fault)
    assert failed(cooccurrence) == {"total weight"}


def test_counts_of_rows_are_those_of_the_manifest(cooccurrence):
    def fault(content):
        content["shards"][0]["scored_tokens"] += 1

    state(cooccurrence, fault)
    assert failed(cooccurrence) == {"counts"}
