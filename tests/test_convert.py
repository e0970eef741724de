"""Converted datasets hold the same rows, and load with the libraries they are for."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

import lmprep
from lmprep.convert import convert
from lmprep.errors import DatasetError, UsageError
from lmprep.files import file_sha256
from lmprep.ragged import Ragged
from lmprep.shards import writer
from tests.corpora import build_dataset, make_tokenizer, write_corpus


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two copies in several shards of several record batches, and a held-out part."""
    folder = tmp_path_factory.mktemp("convert")
    corpus = write_corpus(folder / "corpus.txt", documents=40)
    tokenizer = make_tokenizer(corpus, folder / "tok")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "_BATCH_BYTES", 2000)
        return build_dataset(corpus, tokenizer, folder / "train", copies=2, valid="1/8")


def rows_of(folder, copy):
    opened = lmprep.load(folder, copy)
    rows = opened.rows(np.arange(len(opened)))
    return {
        name: [row.tolist() for row in column] if isinstance(column, Ragged) else column.tolist()
        for name, column in rows.items()
    }


def types_of(folder):
    shard = lmprep.load(folder).shard(0)
    return {name: shard.schema.field(name).type for name in shard.schema.names}


@pytest.mark.parametrize("copy", [0, 1])
def test_parquet_holds_the_rows_of_a_copy(dataset, tmp_path, copy):
    import pyarrow.parquet as pq

    convert(dataset, tmp_path / "out", "parquet", copy=copy)
    files = sorted((tmp_path / "out" / "data").iterdir())
    table = pa.concat_tables(pq.read_table(path) for path in files)

    assert files[0].name == f"train-00000-of-{len(files):05d}.parquet"
    assert table.to_pydict() == rows_of(dataset, copy)
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == types_of(dataset)
    facts = json.loads(pq.read_schema(files[0]).metadata[b"lmprep"])
    assert facts["fingerprint"] == lmprep.load(dataset).manifest["fingerprint"]


def test_datasets_loads_the_parquet_folder_by_its_name(dataset, tmp_path, monkeypatch):
    import datasets

    convert(dataset, tmp_path / "all", "parquet", copy=0)
    convert(dataset.with_name("valid"), tmp_path / "held", "parquet", copy=0)
    for name, split, source in (
        ("all", "train", dataset),
        ("held", "validation", dataset.with_name("valid")),
    ):
        loaded = datasets.load_dataset(str(tmp_path / name), cache_dir=str(tmp_path / "cache"))
        assert list(loaded) == [split]
        assert loaded[split].to_dict() == rows_of(source, 0)
        assert str(loaded[split].features["input_ids"]) == "List(Value('uint16'))"
        del loaded


@pytest.mark.parametrize("copy", [None, 1])
def test_datasets_opens_what_it_saved(dataset, tmp_path, copy):
    import datasets

    rows = convert(dataset, tmp_path / "out", "hf", copy=copy)
    loaded = datasets.load_from_disk(str(tmp_path / "out"))
    stored = datasets.load_from_disk(str(dataset))

    if copy is None:
        assert loaded.to_dict() == stored.to_dict()
    else:
        assert loaded.to_dict() == rows_of(dataset, copy)
    assert len(loaded) == rows
    assert str(loaded.split) == "train"
    assert loaded.features == stored.features
    del loaded, stored


def test_the_tokenizer_goes_along(dataset, tmp_path):
    for form in ("parquet", "hf"):
        convert(dataset, tmp_path / form, form)
        for path in (dataset / "tokenizer").iterdir():
            assert file_sha256(tmp_path / form / "tokenizer" / path.name) == file_sha256(path)


@pytest.mark.parametrize("form", ["parquet", "hf"])
def test_a_damaged_shard_is_refused_and_leaves_nothing(dataset, tmp_path, form):
    import shutil

    shutil.copytree(dataset, tmp_path / "in")
    shard = sorted((tmp_path / "in").glob("*.arrow"))[-1]
    content = bytearray(shard.read_bytes())
    content[-50] ^= 1
    shard.write_bytes(content)

    with pytest.raises(DatasetError, match="checksum"):
        convert(tmp_path / "in", tmp_path / "out", form)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_wrong_wishes_are_refused(dataset, tmp_path, lmprep):
    with pytest.raises(UsageError, match=r"copy 2 is not stored.*holds 2"):
        convert(dataset, tmp_path / "out", "parquet", copy=2)
    (tmp_path / "there").mkdir()
    done = lmprep("convert", dataset, "--to", "hf", "-o", "there")
    assert done.returncode == 2
    assert "there: already exists" in done.stderr


def test_the_command_says_how_many_rows(dataset, lmprep):
    done = lmprep("convert", dataset, "--to", "parquet", "-o", "out", "--copy", "0")

    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith(f"out: {len(rows_of(dataset, 0)['document'])} rows\n")
    assert done.stdout == ""
