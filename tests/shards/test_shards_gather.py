"""Rows are read from where they lie in many files, in one pass, and from nowhere else."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.errors import DatasetError
from lmprep.ragged import Ragged
from lmprep.shards.gather import RecordBatches
from lmprep.shards.reader import Dataset
from lmprep.shards.schema import to_arrow
from tests.corpora import build_dataset, make_tokenizer, write_corpus

rows = st.lists(st.integers(0, 40), max_size=9)
batches = st.lists(st.lists(rows, min_size=1, max_size=5), min_size=1, max_size=4)


def opened(parts: list[list[list[int]]]) -> RecordBatches:
    """A record batch for each part: ids, a flag for each and a number a row."""
    made = []
    for number, part in enumerate(parts):
        columns = {
            "input_ids": Ragged.from_rows(part, np.int32),
            "word_start": Ragged.from_rows([[i % 3 == 0 for i in row] for row in part], bool),
            "document": np.arange(len(part)) + 100 * number,
        }
        made.append(to_arrow(columns, vocabulary_size=50, length=64))
    return RecordBatches(len(made), made.__getitem__)


@given(st.data(), batches)
def test_rows_from_anywhere_are_those_of_the_slow_twin(data, parts):
    places = [(b, row) for b, part in enumerate(parts) for row in range(len(part))]
    chosen = data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=12))
    batch_N, row_N = np.array(chosen).T
    expected = [parts[b][row] for b, row in chosen]
    found = opened(parts)

    columns = found.rows(batch_N, row_N, None)
    assert [row.tolist() for row in columns["input_ids"]] == expected
    assert columns["input_ids"].values.dtype == np.int32
    flags = [[i % 3 == 0 for i in row] for row in expected]
    assert [row.tolist() for row in columns["word_start"]] == flags
    assert columns["document"].tolist() == [100 * b + row for b, row in chosen]
    assert found.lengths("input_ids", batch_N, row_N).tolist() == [len(row) for row in expected]
    odd = np.arange(50) % 2 == 1
    counts = [sum(i % 2 for i in row) for row in expected]
    assert found.counts("input_ids", odd, batch_N, row_N).tolist() == counts


def test_only_the_columns_that_are_asked_for_are_read():
    found = opened([[[5, 6]]])
    first = np.zeros(1, np.int64)

    assert list(found.rows(first, first, ("document", "labels"))) == ["document"]
    assert found.rows(first, first, ()) == {}
    with pytest.raises(TypeError, match="document is not one of lists"):
        found.lengths("document", first, first)


@pytest.mark.parametrize("row", [-1, 2, 10**9])
def test_a_row_that_is_not_there_is_refused(row):
    found = opened([[[5], [6]], [[7], [8], [9]]])
    for read in (
        lambda *place: found.rows(*place, None),
        lambda *place: found.lengths("input_ids", *place),
        lambda *place: found.counts("input_ids", np.ones(50, bool), *place),
    ):
        with pytest.raises(IndexError, match=f"row {row} of a record batch of 2"):
            read(np.array([1, 0]), np.array([2, row]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gather")
    corpus = write_corpus(folder / "corpus.txt")
    tokenizer = make_tokenizer(corpus, folder / "tok")
    return build_dataset(corpus, tokenizer, folder / "out", pairs="none", partition_bytes=1000)


def test_a_dataset_of_more_shards_than_files_may_be_open_is_read(folder):
    dataset = Dataset(folder)
    assert len(dataset.shards) > 8
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 4, hard))
    try:
        ids = dataset.rows(np.arange(len(dataset)), ("input_ids",))["input_ids"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(ids.values) == dataset.manifest["totals"]["tokens"]
    assert dataset.row_lengths(np.arange(len(dataset))).tolist() == ids.lengths.tolist()


def test_offsets_that_point_outside_their_column_are_found_before_a_row_is_read(folder, tmp_path):
    dataset = Dataset(folder)
    entry = dataset.shards[0]
    path = tmp_path / entry["file"]
    data = bytearray((folder / entry["file"]).read_bytes())
    batch = dataset.shard(0).record_batch(0)
    stored = batch.column("input_ids").buffers()[1].to_pybytes()
    place = bytes(data).index(stored)
    data[place + 4 : place + 8] = (10**6).to_bytes(4, "little")
    path.write_bytes(data)
    damaged = Dataset(folder)
    damaged.folder = tmp_path

    with pytest.raises(DatasetError, match="not a readable shard"):
        damaged.rows(np.array([0]))
