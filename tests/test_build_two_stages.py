"""Objectives of two stages: whatever the partitions, what is built is that of the whole corpus."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import datasets
import numpy as np
import pytest

import lmprep
from lmprep import second_stage
from lmprep.errors import DatasetError, InputError
from lmprep.objective_settings import SkipgramSettings
from lmprep.objectives.skipgram import draw_pairs, noise_table
from lmprep.shards.manifest import parse_shard_name
from lmprep.shards.reader import Dataset
from tests.corpora import build_dataset, make_tokenizer, tree, write_corpus
from tests.slow_pair_counts import slow_pair_counts
from tests.strategies import keys_of

pytestmark = pytest.mark.usefixtures("quick_disk")

SKIPGRAM = {"objective": "skipgram", "subsample": Fraction(1, 50), "length": 24}
COOCCURRENCE = {"objective": "cooccurrence", "window": 6, "length": 24}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.txt", documents=40)


@pytest.fixture(scope="module")
def tokenizer(corpus) -> Path:
    return make_tokenizer(corpus, corpus.parent / "tok")


@pytest.fixture(scope="module")
def whole_rows(corpus, tokenizer, tmp_path_factory) -> dict[str, dict[tuple[int, int], list[int]]]:
    """The rows of the train and valid part before anything is done to them, by where they begin."""
    out = tmp_path_factory.mktemp("rows") / "out"
    build_dataset(corpus, tokenizer, out, **options_of_rows(4000))
    return {
        part: rows_of(Dataset(folder))
        for part, folder in (("train", out), ("valid", out.with_name("out-valid")))
    }


def options_of_rows(partition_bytes: int) -> dict[str, object]:
    """Of a build that keeps every token; which documents are held out depends on partitions."""
    return SKIPGRAM | {"subsample": "0", "valid": "1/4", "partition_bytes": partition_bytes}


def rows_of(dataset) -> dict[tuple[int, int], list[int]]:
    """Rows that begin in the same sentence are put together, in no certain order."""
    columns = dataset.rows(np.arange(len(dataset)))
    places = zip(columns["document"].tolist(), columns["first_sentence"].tolist(), strict=True)
    rows: dict[tuple[int, int], list[int]] = {}
    for place, row in zip(places, columns["input_ids"], strict=True):
        rows.setdefault(place, []).extend(row.tolist())
    return rows


def weights_of(dataset) -> dict[tuple[int, int], float]:
    columns = dataset.rows(np.arange(len(dataset)))
    pairs = list(zip(columns["word"].tolist(), columns["context"].tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    return dict(zip(pairs, columns["weight"].tolist(), strict=True))


@pytest.mark.parametrize(
    ("partition_bytes", "words"), [(1000, 7), (3000, 1), (3000, 1000), (10**6, 7)]
)
def test_co_occurrences_are_those_of_the_whole_corpus(
    corpus, tokenizer, tmp_path, monkeypatch, partition_bytes, words
):
    size = len(json.loads((tokenizer / "tokenizer.json").read_bytes())["model"]["vocab"])
    monkeypatch.setattr(second_stage, "_CELLS", words * size)
    options = COOCCURRENCE | {"partition_bytes": partition_bytes, "valid": "1/4"}
    build_dataset(corpus, tokenizer, tmp_path / "out", **options)
    build_dataset(corpus, tokenizer, tmp_path / "rows", **options_of_rows(partition_bytes))
    for suffix in ("", "-valid"):
        dataset = Dataset(tmp_path / f"out{suffix}")
        texts = Dataset(tmp_path / f"rows{suffix}")
        ids = [row.tolist() for row in texts.rows(np.arange(len(texts)))["input_ids"]]
        expected = {
            pair: float(np.float32(float(w))) for pair, w in slow_pair_counts(ids, 6).items()
        }

        assert weights_of(dataset) == expected
        ranges = [parse_shard_name(shard["file"]) for shard in dataset.shards]
        assert ranges == sorted(ranges)
        assert len(ranges) >= min(40, len({word for word, _ in expected}) // words)


def test_each_co_occurrence_shard_is_a_range_of_words(corpus, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(second_stage, "_CELLS", 1000)
    dataset = Dataset(build_dataset(corpus, tokenizer, tmp_path / "out", **COOCCURRENCE))
    words = 1000 // dataset.vocabulary.size
    for number, entry in enumerate(dataset.shards):
        _, partition, _ = parse_shard_name(entry["file"])
        found = dataset.shard(number).rows(np.arange(entry["rows"]))["word"]

        assert partition * words <= found.min() <= found.max() < (partition + 1) * words
        assert entry["scored_tokens"] == entry["rows"]
    assert len(dataset.shards) > 3


@pytest.mark.parametrize("options", [SKIPGRAM | {"copies": 2}, COOCCURRENCE])
def test_bytes_do_not_depend_on_workers(corpus, tokenizer, tmp_path, options):
    for name, workers in (("one", 1), ("two", 2)):
        options = options | {"valid": "1/4", "partition_bytes": 1500, "workers": workers}
        build_dataset(corpus, tokenizer, tmp_path / name / "out", **options)

    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize("options", [SKIPGRAM, COOCCURRENCE])
def test_a_finished_folder_holds_nothing_of_the_first_stage(corpus, tokenizer, tmp_path, options):
    build_dataset(corpus, tokenizer, tmp_path / "out", valid="1/4", **options)
    ours = {"manifest.json", "state.json", "dataset_info.json", "README.md", "tokenizer"}
    if options is SKIPGRAM:
        ours.add("word_counts.npy")
    for folder in (tmp_path / "out", tmp_path / "out-valid"):
        assert {p.name for p in folder.iterdir() if not p.name.startswith("data-")} == ours


@pytest.mark.parametrize("partition_bytes", [1000, 10**6])
def test_words_are_counted_over_all_training_documents(
    corpus, tokenizer, tmp_path, partition_bytes
):
    options = SKIPGRAM | {"partition_bytes": partition_bytes, "valid": "1/4"}
    out = build_dataset(corpus, tokenizer, tmp_path / "out", **options)
    build_dataset(corpus, tokenizer, tmp_path / "rows", **options_of_rows(partition_bytes))
    train, valid = Dataset(out), Dataset(tmp_path / "out-valid")
    rows = rows_of(Dataset(tmp_path / "rows"))
    expected = Counter(token for row in rows.values() for token in row)

    assert {i: n for i, n in enumerate(train.word_counts.tolist()) if n} == expected
    assert valid.word_counts.tolist() == train.word_counts.tolist()
    assert train.word_counts.sum() == train.manifest["input_tokens"]


def test_each_copy_is_thinned_anew_by_the_counts_of_the_whole_corpus(tokenizer, tmp_path):
    """A word that fills one partition and is rare in the corpus is thinned as a rare one."""
    common = "\n\n".join(["ba ke lo mi nu ra so te vi zu"] * 400)
    text = tmp_path / "text.txt"
    text.write_text(f"{common}\n\n" + "\n\n".join(["zuzu zuzu zuzu zuzu"] * 100) + "\n")
    options = SKIPGRAM | {"partition_bytes": 1000, "copies": 2}
    out = build_dataset(text, tokenizer, tmp_path / "out", **options)
    copies = [Dataset(out, copy=copy) for copy in (0, 1)]
    found = [
        np.bincount(d.rows(np.arange(len(d)))["input_ids"].values, minlength=d.vocabulary.size)
        for d in copies
    ]
    before = copies[0].word_counts
    expected = np.minimum(1, np.sqrt(0.02 * before.sum() / np.maximum(1, before)))
    error = np.sqrt(expected * (1 - expected) * before)

    assert np.all(abs(found[0] - expected * before) <= 5 * error)
    assert np.all(abs(found[1] - expected * before) <= 5 * error)


def test_rows_are_thinned_where_they_stand(corpus, tokenizer, tmp_path, whole_rows):
    options = SKIPGRAM | {"valid": "1/4", "copies": 2}
    out = build_dataset(corpus, tokenizer, tmp_path / "out", **options)
    for part, folder in (("train", out), ("valid", out.with_name("out-valid"))):
        rows = [rows_of(Dataset(folder, copy=copy)) for copy in (0, 1)]
        manifest = Dataset(folder).manifest
        first = sum(entry["tokens"] for entry in Dataset(folder).shards)

        assert rows[0] != rows[1]
        for thinned in rows:
            assert thinned.keys() == whole_rows[part].keys()
            for place, row in thinned.items():
                assert not Counter(row) - Counter(whole_rows[part][place])
        assert first == sum(len(row) for row in rows[0].values())
        assert manifest["input_tokens"] == first + manifest["drops"]["subsampled_tokens"]


def test_pairs_can_be_drawn_from_what_was_built(corpus, tokenizer, tmp_path):
    dataset = lmprep.load(build_dataset(corpus, tokenizer, tmp_path / "out", **SKIPGRAM))
    rows = dataset.rows(np.arange(len(dataset)))["input_ids"]
    noise = noise_table(dataset.word_counts)
    pairs = draw_pairs(rows, SkipgramSettings(window=2, negatives=3), noise, keys_of(len(rows)))

    assert len(pairs) > len(rows)
    assert dataset.word_counts[pairs.negatives].min() > 0


def test_only_skipgram_has_word_counts(corpus, tokenizer, tmp_path):
    dataset = Dataset(build_dataset(corpus, tokenizer, tmp_path / "out", **COOCCURRENCE))

    with pytest.raises(ValueError, match="cooccurrence has no word counts"):
        dataset.word_counts  # noqa: B018


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "renamed"])
def test_damaged_word_counts_are_noticed(corpus, tokenizer, tmp_path, damage):
    out = build_dataset(corpus, tokenizer, tmp_path / "out", **SKIPGRAM)
    path = out / "word_counts.npy"
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-8])
    elif damage == "changed":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "gone":
        path.unlink()
    else:
        path.rename(tmp_path / "elsewhere.npy")
        path.symlink_to(tmp_path / "elsewhere.npy")

    with pytest.raises(DatasetError, match=r"word_counts\.npy: "):
        Dataset(out).word_counts  # noqa: B018


def test_a_manifest_of_co_occurrences_tells_of_the_texts(corpus, tokenizer, tmp_path):
    counted = Dataset(build_dataset(corpus, tokenizer, tmp_path / "out", **COOCCURRENCE)).manifest
    rows = Dataset(build_dataset(corpus, tokenizer, tmp_path / "rows", **SKIPGRAM)).manifest
    text = ("text_bytes", "text_sha256", "words")

    assert [{name: t[name] for name in text} for t in counted["texts"]] == [
        {name: shard[name] for name in text} for shard in rows["shards"]
    ]
    assert counted["totals"]["tokens"] == counted["input_tokens"] == rows["input_tokens"]
    for name in ("text_bytes", "words"):
        assert counted["totals"][name] == rows["totals"][name]
    assert counted["totals"]["rows"] == counted["totals"]["scored_tokens"]


def test_datasets_reads_what_was_built(corpus, tokenizer, tmp_path):
    out = build_dataset(corpus, tokenizer, tmp_path / "out", **COOCCURRENCE)
    theirs = datasets.load_from_disk(str(out))
    ours = Dataset(out).rows(np.arange(len(Dataset(out))))

    assert theirs["weight"] == ours["weight"].tolist()
    assert theirs["context"] == ours["context"].tolist()
    del theirs


def test_a_threshold_that_leaves_no_token_is_an_error(corpus, tokenizer, tmp_path):
    options = SKIPGRAM | {"subsample": Fraction(1, 2**31 - 1)}
    with pytest.raises(InputError, match=r"no example came out .*subsampled_tokens.*--subsample"):
        build_dataset(corpus, tokenizer, tmp_path / "out", **options)

    assert not (tmp_path / "out").exists()


def test_documents_of_one_word_have_no_neighbours(tokenizer, tmp_path):
    text = tmp_path / "words.txt"
    text.write_text("ba\n\nke\n\nlo\n")
    with pytest.raises(InputError, match=r"no example came out of 3 documents.*several words"):
        build_dataset(text, tokenizer, tmp_path / "out", **COOCCURRENCE)

    assert not (tmp_path / "out").exists()


def test_sums_too_large_are_an_error_that_names_the_remedy(
    corpus, tokenizer, tmp_path, monkeypatch
):
    def refuse(*_):
        raise ValueError("their count is beyond 2**63 units")

    monkeypatch.setattr(second_stage.PairSums, "add", refuse)
    with pytest.raises(lmprep.errors.LmprepError, match=r"beyond.*Count parts of the corpus"):
        build_dataset(corpus, tokenizer, tmp_path / "out", **COOCCURRENCE)
