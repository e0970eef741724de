"""What is written to a dataset folder comes back, and damage to it is noticed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.batches import take_rows
from lmprep.errors import DatasetError, UsageError
from lmprep.files import atomic_file, canonical_json, create_json, json_sha256, sizes_of
from lmprep.ragged import Ragged
from lmprep.shards import writer
from lmprep.shards.manifest import parse_shard_name, write_manifest
from lmprep.shards.reader import Dataset
from lmprep.shards.writer import shard_name, write_shard
from tests.strategies import PAPER, SETTINGS

VOCABULARY = {
    "family": "bert", "size": 50, "special": [0, 1, 2, 3, 4], "pad": 0, "unk": 1, "cls": 2,
    "sep": 3, "mask": 4, "sentinels": [],
}  # fmt: skip


def columns_of(first: int, rows: int) -> dict:
    return {
        "input_ids": Ragged.from_rows([[2, 5 + (first + i) % 40, 3] for i in range(rows)], int),
        "document": np.arange(first, first + rows),
        "label": np.array([i % 2 for i in range(rows)], np.int8),
    }


def make_dataset(folder: Path, rows=(4, 3), copies: int = 1, size: int = 50) -> Path:
    folder.mkdir()
    entries = []
    for partition, count in enumerate(rows):
        for copy in range(copies):
            columns = columns_of(100 * partition + 1000 * copy, count)
            name = shard_name(0, partition, copy)
            entry = write_shard(folder, name, columns, vocabulary_size=size, length=8)
            entries.append(
                entry | {"tokens": 3 * count, "scored_tokens": 0, "text_bytes": 9, "words": 2}
            )
    vocabulary = {**VOCABULARY, "size": size}
    settings = {**SETTINGS, "copies": copies}
    content = {**PAPER, "shards": entries, "vocabulary": vocabulary, "settings": settings}
    write_manifest(folder, content)
    return folder


def rewrite_manifest(folder: Path, change) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["manifest_sha256"]
    change(manifest)
    manifest["manifest_sha256"] = json_sha256(manifest)
    (folder / "manifest.json").write_bytes(canonical_json(manifest))


@given(indices=st.lists(st.integers(0, 6), min_size=1, max_size=12), batch_bytes=st.integers(1, 99))
def test_any_rows_come_back_in_the_order_asked_for(tmp_path_factory, indices, batch_bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "_BATCH_BYTES", batch_bytes)
        folder = make_dataset(tmp_path_factory.mktemp("d") / "out")
    dataset = Dataset(folder)
    rows = dataset.rows(np.array(indices))
    expected = [0, 1, 2, 3, 100, 101, 102]

    assert len(dataset) == 7
    assert rows["document"].tolist() == [expected[i] for i in indices]
    assert [r.tolist() for r in rows["input_ids"]] == [
        [2, 5 + expected[i] % 40, 3] for i in indices
    ]
    assert rows["input_ids"].values.dtype == np.int32


@pytest.mark.parametrize(("size", "dtype"), [(1 << 16, "uint16"), ((1 << 16) + 1, "int32")])
def test_ids_are_stored_in_the_smallest_type(tmp_path, size, dtype):
    folder = make_dataset(tmp_path / "out", size=size)

    batch = Dataset(folder).shard(0).record_batch(0)
    assert str(batch.schema.field("input_ids").type.value_type) == dtype


def test_a_shard_has_the_same_bytes_whatever_it_was_cut_from(tmp_path):
    whole = columns_of(0, 10)
    part = take_rows(whole, np.arange(3, 6))
    fresh = columns_of(3, 3) | {"label": np.array([1, 0, 1], np.int8)}
    for name, columns in (("a", part), ("b", fresh)):
        write_shard(tmp_path, name, columns, vocabulary_size=50, length=8)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_each_copy_is_read_by_itself(tmp_path):
    folder = make_dataset(tmp_path / "out", copies=2)

    assert Dataset(folder, copy=1).rows(np.array([0, 4]))["document"].tolist() == [1000, 1100]
    with pytest.raises(ValueError, match="copy 2 is not stored"):
        Dataset(folder, copy=2)


def test_datasets_reads_folder_and_shard(tmp_path):
    import datasets

    folder = make_dataset(tmp_path / "out")
    whole = datasets.load_from_disk(str(folder))
    one = datasets.Dataset.from_file(str(folder / shard_name(0, 1, 0)))

    assert whole["document"] == [0, 1, 2, 3, 100, 101, 102]
    assert one[0]["input_ids"] == [2, 5 + 100 % 40, 3]
    del whole, one


def test_a_shard_cut_at_a_batch_boundary_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_BATCH_BYTES", 1)  # a record batch for each row
    folder = make_dataset(tmp_path / "out")
    shard = folder / shard_name(0, 0, 0)
    offsets = Dataset(folder).shards[0]["batch_offsets"]
    shard.write_bytes(shard.read_bytes()[: offsets[2]])

    with pytest.raises(DatasetError, match=r"data-00000-00000-00.arrow: \d+ bytes where") as caught:
        Dataset(folder)
    assert caught.value.exit_code == 1


def test_a_forged_batch_offset_is_an_error_not_a_crash(tmp_path):
    folder = make_dataset(tmp_path / "out")
    rewrite_manifest(folder, lambda m: m["shards"][0].update(batch_offsets=[13]))

    with pytest.raises(DatasetError, match="not a readable shard"):
        Dataset(folder).rows(np.array([0]))


@pytest.mark.parametrize(
    "name", ["../x.arrow", "/etc/passwd", "sub/data-00000-00000-00.arrow", "data-0-0-0.arrow", ""]
)
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    folder = make_dataset(tmp_path / "out")
    rewrite_manifest(folder, lambda m: m["shards"][0].update(file=name))

    with pytest.raises(DatasetError, match="is not the name of a shard"):
        Dataset(folder)


def test_a_link_in_place_of_a_shard_is_refused(tmp_path):
    folder = make_dataset(tmp_path / "out")
    shard = folder / shard_name(0, 0, 0)
    shard.rename(tmp_path / "elsewhere.arrow")
    shard.symlink_to(tmp_path / "elsewhere.arrow")

    with pytest.raises(DatasetError, match="not a plain file"):
        Dataset(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b.replace(b'"rows": 4', b'"rows": 5'), "checksum"),
        (lambda b: b.replace(b" ", b"", 1), "not in the form"),
        (lambda b: b[:-20], "not valid JSON"),
        (lambda b: b"[]\n", "not in the form"),
    ],
)
def test_a_changed_manifest_is_refused(tmp_path, damage, message):
    path = make_dataset(tmp_path / "out") / "manifest.json"
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(DatasetError, match=message):
        Dataset(path.parent)


def test_a_folder_without_a_manifest_says_what_it_is(tmp_path):
    with pytest.raises(UsageError, match=r"no such dataset folder.*lmprep build"):
        Dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="not a dataset folder"):
        Dataset(tmp_path)
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"unfinished.*--resume"):
        Dataset(tmp_path)


def test_a_row_outside_is_an_index_error(tmp_path):
    with pytest.raises(IndexError, match="of 7"):
        Dataset(make_dataset(tmp_path / "out")).rows(np.array([7]))


def test_a_file_that_fails_half_way_leaves_nothing(tmp_path):
    def fail():
        with atomic_file(tmp_path / "x") as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_goes_while_its_folder_is_listed_hides_no_other(tmp_path, monkeypatch):
    for name in ("data", ".temporary", "more"):
        (tmp_path / name).write_bytes(name.encode())

    class Listing:
        """As `os.scandir`, but that another process removes a file before it is looked at."""

        def __init__(self, folder):
            self._real = real(folder)

        def __enter__(self):
            entries = list(self._real)
            (tmp_path / ".temporary").unlink()
            return entries

        def __exit__(self, *_):
            self._real.close()

    real = os.scandir
    monkeypatch.setattr("lmprep.files.os.scandir", Listing)

    assert sizes_of(tmp_path) == {"data": 4, "more": 4}


def test_only_one_of_two_creators_wins(tmp_path):
    create_json(tmp_path / "plan.json", {"winner": 1})
    with pytest.raises(FileExistsError):
        create_json(tmp_path / "plan.json", {"winner": 2})

    assert json.loads((tmp_path / "plan.json").read_bytes()) == {"winner": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 99))
def test_a_shard_name_tells_its_place(source, partition, copy):
    assert parse_shard_name(shard_name(source, partition, copy)) == (source, partition, copy)
