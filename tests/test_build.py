"""Datasets come out the same however they are made, and hold what their settings say."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lmprep
from lmprep.batches import Tokens
from lmprep.build import Builder
from lmprep.build_settings import BuildSettings
from lmprep.checks.verify import verify
from lmprep.engines import job
from lmprep.errors import InputError, LmprepError, UsageError
from lmprep.shards import schema
from lmprep.shards.reader import Dataset
from tests.corpora import build_dataset, make_tokenizer, tree, write_corpus
from tests.strategies import tokens_of


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.txt")


@pytest.fixture(scope="module")
def tokenizer(corpus) -> Path:
    return make_tokenizer(corpus, corpus.parent / "tok")


def all_rows(dataset) -> dict[str, list]:
    columns = dataset.rows(np.arange(len(dataset)))
    return {name: [np.asarray(v).tolist() for v in column] for name, column in columns.items()}


def plan_of(corpus, tokenizer, out, **changes):
    return job.make_plan([str(corpus)], str(tokenizer), out, BuildSettings.from_options(changes))


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("compressed", [False, True])
def test_bytes_do_not_depend_on_workers(corpus, tokenizer, tmp_path, workers, compressed):
    if compressed:
        squeezed = tmp_path / "corpus.txt.gz"
        squeezed.write_bytes(gzip.compress(corpus.read_bytes(), mtime=0))
        corpus = squeezed
    options = {"pairs": "nsp", "length": 48, "partition_size": "3kB", "valid": "20%"}
    for name, count in (("one", 1), ("many", workers)):
        plan = plan_of(corpus, tokenizer, tmp_path / name, **options)
        job.run(plan, workers=count, resume=False, force=False)

    one = tree(tmp_path / "one")
    assert sum(name.endswith(".arrow") for name in one) >= 4
    assert one == tree(tmp_path / "many")
    assert tree(tmp_path / "one-valid") == tree(tmp_path / "many-valid")


def test_records_and_tables_of_the_same_texts_give_the_same_shards(tokenizer, tmp_path):
    texts = [f"Ba ke lo {i}.\nMi nu ra so." for i in range(200)]
    records = tmp_path / "a.jsonl.zst"
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    records.write_bytes(pa.compress(lines, codec="zstd", asbytes=True))
    datasets.Dataset.from_dict({"text": texts}).save_to_disk(tmp_path / "saved")
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", row_group_size=70)
    shards = []
    for corpus in (records, tmp_path / "a.parquet", tmp_path / "saved"):
        out = tmp_path / f"{corpus.name}-out"
        plan = plan_of(corpus, tokenizer, out, length=32, partition_size="2kB")
        job.run(plan, workers=2, resume=False, force=False)
        assert [check for check in verify(out, [str(corpus)]) if not check.passed] == []
        shards.append({k: v for k, v in tree(out).items() if k.endswith(".arrow")})

    assert len(shards[0]) > 2
    assert shards[0] == shards[1] == shards[2]


def test_a_moved_corpus_is_the_same_corpus(corpus, tokenizer, tmp_path):
    moved = tmp_path / "elsewhere" / corpus.name
    moved.parent.mkdir()
    moved.write_bytes(corpus.read_bytes())

    first = tree(build_dataset(corpus, tokenizer, tmp_path / "a"))
    assert first == tree(build_dataset(moved, tokenizer, tmp_path / "b"))


def test_another_seed_gives_other_rows_and_the_same_seed_the_same(corpus, tokenizer, tmp_path):
    trees = [
        tree(build_dataset(corpus, tokenizer, tmp_path / str(n), seed=seed))
        for n, seed in enumerate((0, 0, 1))
    ]

    assert trees[0] == trees[1]
    assert trees[0]["data-00000-00000-00.arrow"] != trees[2]["data-00000-00000-00.arrow"]


def test_datasets_reads_the_folder_as_it_is(corpus, tokenizer, tmp_path):
    out = build_dataset(corpus, tokenizer, tmp_path / "out")
    ours = all_rows(Dataset(out))
    theirs = datasets.load_from_disk(str(out))
    shard = datasets.Dataset.from_file(str(out / "data-00000-00000-00.arrow"))

    assert theirs.num_rows == len(ours["input_ids"])
    assert theirs["input_ids"] == ours["input_ids"]
    assert theirs["next_sentence_label"] == ours["next_sentence_label"]
    assert shard["masked_labels"][0] == ours["masked_labels"][0]
    del theirs, shard


def test_no_document_is_in_both_parts(corpus, tokenizer, tmp_path):
    out = build_dataset(corpus, tokenizer, tmp_path / "out", valid="1/4", pairs="none")
    train = set(all_rows(Dataset(out))["document"])
    valid = set(all_rows(Dataset(tmp_path / "out-valid"))["document"])

    assert not train & valid
    assert len(train | valid) == 60
    assert 5 <= len(valid) <= 25
    assert Dataset(out).manifest["documents"] == len(train)
    assert Dataset(tmp_path / "out-valid").manifest["documents"] == len(valid)


def test_a_small_rate_still_sets_two_documents_aside(corpus, tokenizer, tmp_path):
    out = build_dataset(corpus, tokenizer, tmp_path / "out", valid="1/1000000", pairs="none")

    assert len(set(all_rows(Dataset(out.with_name("out-valid")))["document"])) == 2


def test_every_token_of_a_document_is_in_a_row(corpus, tokenizer, tmp_path):
    out = build_dataset(corpus, tokenizer, tmp_path / "out", pairs="none")
    dataset = lmprep.load(out)
    totals = dataset.manifest["totals"]

    assert dataset.manifest["drops"] == {}
    assert totals["tokens"] == sum(map(len, all_rows(dataset)["input_ids"]))
    assert totals["text_bytes"] == sum(
        len(line.strip()) for line in corpus.read_bytes().split(b"\n")
    )


class _Killed(BaseException):
    pass


def test_a_killed_build_resumes_to_the_same_bytes(corpus, tokenizer, tmp_path, monkeypatch):
    whole = build_dataset(corpus, tokenizer, tmp_path / "whole", valid="1/5")
    built = []

    def die_at_the_third(self, partition, real=Builder.build):
        if len(built) == 2:
            raise _Killed
        built.append(real(self, partition))
        return built[-1]

    monkeypatch.setattr(Builder, "build", die_at_the_third)
    with pytest.raises(_Killed):
        build_dataset(corpus, tokenizer, tmp_path / "cut", valid="1/5")
    monkeypatch.undo()
    cut = tmp_path / "cut"
    assert not (cut / "manifest.json").exists()
    (cut / "receipts" / "00000-00000.json").write_text('{"half')  # a receipt a power cut tore

    plan = job.make_plan([str(corpus)], str(tokenizer), cut, _settings_of(whole))
    job.run(plan, workers=1, resume=True, force=False)
    assert tree(cut) == tree(whole)
    assert tree(tmp_path / "cut-valid") == tree(tmp_path / "whole-valid")


def _settings_of(folder: Path) -> BuildSettings:
    """The settings a folder was built with, from its manifest."""
    written = json.loads((folder / "manifest.json").read_bytes())["settings"]
    nested = ("objective_settings", "sequences", "corpus")
    flat = {k: v for k, v in written.items() if k not in nested}
    flat["partition_size"] = flat.pop("partition_bytes")
    return BuildSettings.from_options(
        flat | {k: v for name in nested for k, v in written[name].items()}
    )


def test_resuming_with_other_settings_names_the_first_that_differs(corpus, tokenizer, tmp_path):
    out = build_dataset(corpus, tokenizer, tmp_path / "out")
    plan = plan_of(corpus, tokenizer, out, pairs="nsp", length=64, partition_size=4000)

    with pytest.raises(UsageError, match=r"settings\.sequences\.length is 48 there and 64 here"):
        job.run(plan, workers=1, resume=True, force=False)


def test_resuming_on_a_text_that_changed_is_refused(corpus, tokenizer, tmp_path, monkeypatch):
    copied = tmp_path / "corpus.txt.gz"  # stored, not squeezed: any text has the same size
    copied.write_bytes(gzip.compress(corpus.read_bytes(), 0))
    real = Builder.build
    monkeypatch.setattr(Builder, "build", lambda self, p: _once(self, p, real))
    with pytest.raises(_Killed):
        build_dataset(copied, tokenizer, tmp_path / "out")
    monkeypatch.undo()
    copied.write_bytes(gzip.compress(corpus.read_bytes().swapcase(), 0))
    plan = plan_of(copied, tokenizer, tmp_path / "out", pairs="nsp", length=48, partition_size=4000)

    with pytest.raises(InputError, match="does not hold the text it held when the build began"):
        job.run(plan, workers=1, resume=True, force=False)


def _once(builder, partition, real):
    """Build the first partition and die at the second, before the source is complete."""
    if partition.source or partition.ordinal:
        raise _Killed
    return real(builder, partition)


def test_resuming_a_complete_build_does_nothing(corpus, tokenizer, tmp_path):
    out = build_dataset(corpus, tokenizer, tmp_path / "out")
    before = tree(out)
    plan = job.make_plan([str(corpus)], str(tokenizer), out, _settings_of(out))

    assert job.run(plan, workers=1, resume=True, force=False).already_complete
    assert tree(out) == before


def test_force_removes_our_files_and_nothing_else(corpus, tokenizer, tmp_path):
    out = build_dataset(corpus, tokenizer, tmp_path / "out", seed=1)
    fresh = tree(build_dataset(corpus, tokenizer, tmp_path / "fresh", pairs="sop"))
    mine = {"notes.md": b"mine", "data.arrow": b"mine too"}
    for name, content in mine.items():
        (out / name).write_bytes(content)
    (out / ".data-00000-00000-00.arrow.123.tmp").write_text("left by a killed build")
    plan = plan_of(corpus, tokenizer, out, pairs="sop", length=48, partition_size=4000)
    job.run(plan, workers=1, resume=False, force=True)

    assert tree(out) == fresh | mine


@pytest.mark.parametrize("flags", [{}, {"resume": True}, {"force": True}])
def test_a_folder_that_is_not_ours_is_never_touched(corpus, tokenizer, tmp_path, flags):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter.tex").write_text("mine")
    plan = plan_of(corpus, tokenizer, out)

    with pytest.raises(UsageError, match="thesis: "):
        job.run(plan, **{"workers": 1, "resume": False, "force": False} | flags)
    assert tree(out) == {"chapter.tex": b"mine"}


def test_a_corpus_of_nothing_leaves_nothing(tokenizer, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n\n")
    plan = plan_of(empty, tokenizer, tmp_path / "out")

    with pytest.raises(InputError, match="the corpus is empty"):
        job.run(plan, workers=1, resume=False, force=False)
    assert not (tmp_path / "out").exists()


def test_one_document_makes_no_next_sentence_pairs(tokenizer, tmp_path):
    one = tmp_path / "one.txt"
    one.write_text("Ba ke lo.\nMi nu ra.\nSo te vi zu.\n")
    plan = plan_of(one, tokenizer, tmp_path / "out", pairs="nsp")

    with pytest.raises(InputError, match=r"no example came out of 1 documents .*single_document"):
        job.run(plan, workers=1, resume=False, force=False)


def test_three_documents_are_too_few_to_set_some_aside(tokenizer, tmp_path):
    three = tmp_path / "three.txt"
    three.write_text("Ba ke.\n\nLo mi.\n\nNu ra.\n")
    plan = plan_of(three, tokenizer, tmp_path / "out", valid="10%")

    with pytest.raises(InputError, match="3 documents are too few"):
        job.run(plan, workers=1, resume=False, force=False)
    assert not (tmp_path / "out-valid").exists()


def test_a_value_that_does_not_fit_its_column_names_the_remedy(
    corpus, tokenizer, tmp_path, monkeypatch
):
    monkeypatch.setattr(schema, "smallest", lambda limit: np.dtype(np.int8))

    with pytest.raises(LmprepError, match=r"1\d\d in column \w+ does not fit .* shorter --length"):
        build_dataset(corpus, tokenizer, tmp_path / "out", length=200, pairs="none")


def test_taking_documents_keeps_their_sentences_and_words():
    tokens = tokens_of([[[5, 6], [7]], [[]], [[8], [], [9, 10]]])
    taken = tokens.take(np.array([2, 0]))

    assert isinstance(taken, Tokens)
    assert taken.ids.tolist() == [8, 9, 10, 5, 6, 7]
    assert taken.sentence_offsets.tolist() == [0, 1, 1, 3, 5, 6]
    assert taken.document_offsets.tolist() == [0, 3, 5]
    assert taken.numbers.tolist() == [2, 0]
