"""`--dedup exact`: the first document of each text stays, whoever reads the corpus and how."""

from __future__ import annotations

import gzip
import json
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep import duplicates
from lmprep.build_settings import BuildSettings
from lmprep.checks.verify import verify
from lmprep.corpus import CorpusSettings, expand, plan_sources, read_partitions
from lmprep.engines import job
from lmprep.errors import InputError, UsageError
from lmprep.shards.reader import Dataset
from tests.corpora import build_dataset, make_tokenizer, tree, write_corpus

COMMON = {"objective": "clm", "pairs": "none", "dedup": "exact", "length": 32}


def documents_of(path):
    return path.read_text().rstrip("\n").split("\n\n")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A corpus of 40 texts, each one to four times, over four files, one of them compressed."""
    folder = tmp_path_factory.mktemp("repeated")
    texts = documents_of(write_corpus(folder / "all", documents=40))
    repeated = [text for i, text in enumerate(texts) for _ in range(1 + i % 4)]
    random.Random(5).shuffle(repeated)
    parts = ["\n\n".join(repeated[i::4]) + "\n" for i in range(4)]
    for number, part in enumerate(parts[:3]):
        (folder / f"{number}.txt").write_text(part)
    with gzip.open(folder / "3.txt.gz", "wt", compresslevel=1) as file:
        file.write(parts[3])
    (folder / "all").unlink()
    return folder


@pytest.fixture(scope="module")
def tokenizer(files, tmp_path_factory):
    return make_tokenizer(files / "0.txt", tmp_path_factory.mktemp("tok") / "tok", family="gpt2")


def first_texts(folder, partition_bytes):
    """The texts of a corpus in its order, each once, with the number of its first document."""
    settings = CorpusSettings()
    inputs = expand([str(folder / "*")])
    found: dict[bytes, int] = {}
    total = 0
    for source in plan_sources(inputs, settings, partition_bytes):
        for partition in read_partitions(source, settings, partition_bytes):
            offsets = partition.document_offsets
            for i in range(len(partition)):
                number = (source.index << 40) + partition.first_document + i
                found.setdefault(partition.text[offsets[i] : offsets[i + 1]].tobytes(), number)
                total += 1
    return found, total


@pytest.mark.parametrize("partition_bytes", [1000, 4000, 10**6])
def test_the_first_document_of_each_text_stays(files, tokenizer, tmp_path, partition_bytes):
    out = build_dataset(
        files / "*", tokenizer, tmp_path / "out",
        **COMMON, sequences="document", partition_bytes=partition_bytes,
    )  # fmt: skip
    dataset = Dataset(out)
    found, total = first_texts(files, partition_bytes)

    assert len(found) == 40
    assert set(dataset.rows(np.arange(len(dataset)))["document"]) == set(found.values())
    assert dataset.manifest["documents"] == 40
    assert dataset.manifest["drops"]["duplicate_documents"] == total - 40 == 60
    assert not (out / "partials").exists()


def test_the_bytes_depend_on_nothing_but_the_plan(files, tokenizer, tmp_path, monkeypatch):
    out = build_dataset(files / "*", tokenizer, tmp_path / "one", **COMMON)
    parallel = build_dataset(files / "*", tokenizer, tmp_path / "two", **COMMON, workers=2)
    monkeypatch.setattr(duplicates, "_BUCKET_ROWS", 7)
    in_buckets = build_dataset(files / "*", tokenizer, tmp_path / "three", **COMMON)

    assert tree(out) == tree(parallel) == tree(in_buckets)


def test_without_it_everything_stays_and_the_fingerprint_differs(files, tokenizer, tmp_path):
    folders = [
        build_dataset(files / "*", tokenizer, tmp_path / name, **{**COMMON, "dedup": name})
        for name in ("none", "exact")
    ]
    kept, once = (json.loads((folder / "manifest.json").read_bytes()) for folder in folders)

    assert kept["documents"] == 100
    assert "duplicate_documents" not in kept["drops"]
    assert kept["fingerprint"] != once["fingerprint"]


@pytest.mark.parametrize("valid", ["0", "1/4"])
def test_verify_finds_the_same_documents_in_the_source(files, tokenizer, tmp_path, valid):
    out = build_dataset(files / "*", tokenizer, tmp_path / "train", **COMMON, valid=valid)
    checks = verify(out, [str(files / "*")])

    assert [check for check in checks if not check.passed] == []
    assert any(check.name == "source duplicates" for check in checks)
    if valid != "0":
        held_out = verify(tmp_path / "valid", [str(files / "*")])
        assert [check for check in held_out if not check.passed] == []


def test_tasks_make_the_dataset_of_one_machine(files, tokenizer, tmp_path):
    settings = BuildSettings.from_options(
        {"objective": "clm", "dedup": "exact", "length": 32, "partition_size": 1000}
    )
    for name, tasks in (("one", [None]), ("many", [(2, 3), (0, 3), (1, 3)])):
        plan = job.make_plan([str(files / "*")], str(tokenizer), tmp_path / name, settings)
        for task in tasks:
            result = job.run(plan, workers=1, resume=False, force=False, task=task)
        assert not result.waits_for

    assert tree(tmp_path / "many") == tree(tmp_path / "one")


def test_a_corpus_that_changes_between_the_two_readings_is_refused(files, tokenizer, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes((files / "0.txt").read_bytes())
    settings = BuildSettings.from_options({"objective": "clm", "dedup": "exact", "length": 32})
    plan = job.make_plan([str(corpus)], str(tokenizer), tmp_path / "out", settings)
    (source,) = plan.sources
    (tmp_path / "out" / "receipts").mkdir(parents=True)
    duplicates.hash_source(
        tmp_path / "out", plan.job.fingerprint, source, settings.corpus, 64_000_000
    )
    duplicates.mark_first(tmp_path / "out", plan.sources)
    text = corpus.read_text()
    corpus.write_text(text[:-3] + "x" + text[-2:])
    (partition,) = read_partitions(source, settings.corpus, 64_000_000)

    with pytest.raises(InputError, match="does not hold the text it held"):
        duplicates.first_in(tmp_path / "out", partition)


def test_standard_input_is_refused_before_any_work(tokenizer, tmp_path):
    settings = BuildSettings.from_options({"objective": "clm", "dedup": "exact"})
    with pytest.raises(UsageError, match="cannot be read twice"):
        job.make_plan(["-"], str(tokenizer), tmp_path / "out", settings)


def test_an_empty_corpus_is_still_an_empty_corpus(tokenizer, tmp_path):
    (tmp_path / "empty.txt").write_text("\n\n \n")
    with pytest.raises(InputError, match="the corpus is empty"):
        build_dataset(tmp_path / "empty.txt", tokenizer, tmp_path / "out", **COMMON)


words = st.sampled_from(["a", "b", "c", "a b", "ä", "b  c"])


@given(texts=st.lists(words, min_size=2, max_size=40), bucket=st.integers(1, 9))
def test_it_equals_a_dictionary_of_texts(tmp_path_factory, texts, bucket):
    out = tmp_path_factory.mktemp("d")
    (out / "receipts").mkdir()
    (out / "in.txt").write_text("\n".join(texts) + "\n")
    settings = CorpusSettings(documents="line")
    sources = plan_sources(expand([str(out / "in.txt")]), settings, 8)
    seen: set[bytes] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_BUCKET_ROWS", bucket)
        for source in reversed(sources):
            duplicates.hash_source(out, "f", source, settings, 8)
        duplicates.mark_first(out, sources)
    for source in sources:
        for partition in read_partitions(source, settings, 8):
            offsets = partition.document_offsets
            rows = [partition.text[a:b].tobytes() for a, b in zip(offsets, offsets[1:])]  # noqa: B905, RUF007
            expected = [not (text in seen or seen.add(text)) for text in rows]
            assert duplicates.first_in(out, partition).tolist() == expected


def test_memory_is_that_of_a_bucket_whatever_the_corpus(tmp_path, monkeypatch):
    """Eight partitions of 50 000 documents, of which 5 000 at a time are sorted."""
    monkeypatch.setattr(duplicates, "_BUCKET_ROWS", 5_000)
    for name in ("receipts", "partials"):
        (tmp_path / name).mkdir()
    (tmp_path / "in.txt").write_text("x\n")
    (source,) = plan_sources(expand([str(tmp_path / "in.txt")]), CorpusSettings(), 1000)
    rng = np.random.default_rng(0)
    for partition in range(8):
        table = rng.integers(0, 2**63, (3, 50_000), np.uint64) * 2
        table = table[:, np.argsort(table[0])]
        table[2] = np.arange(50_000)
        np.save(tmp_path / "partials" / f"00000-{partition:05d}-hashes.npy", table)
    stated = [{"documents": 50_000, "text_sha256": ""}] * 8
    duplicates.write_receipt(
        tmp_path / "receipts" / "hashes-00000.json", {"fingerprint": "f", "partitions": stated}
    )
    tracemalloc.start()
    duplicates.mark_first(tmp_path, [source])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    first = np.load(tmp_path / "partials" / "first.npy")
    assert first.sum() == 400_000
    assert peak < 2_000_000  # bytes; all hashes together are 9.6 MB
