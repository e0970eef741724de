"""Every kind of column comes back as it was written, and no value is silently changed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.batches import join_rows, take_rows
from lmprep.ragged import Ragged
from lmprep.shards import writer
from lmprep.shards.manifest import write_manifest
from lmprep.shards.reader import Dataset, Shard
from lmprep.shards.schema import flat, flat_array, from_arrow, to_arrow
from lmprep.shards.writer import shard_name, write_batches, write_shard
from tests.corpora import build_dataset, make_tokenizer, write_corpus
from tests.strategies import BERT, PAPER, SETTINGS

flags = st.lists(st.lists(st.booleans(), max_size=20), min_size=1, max_size=12)


def flagged(rows) -> dict:
    """Rows with a flag for each token."""
    ids = [[5 + i % 40 for i in range(len(row))] for row in rows]
    return {
        "input_ids": Ragged.from_rows(ids, np.int32),
        "word_start": Ragged.from_rows(rows, bool),
    }


def dataset_of(folder, parts, length: int = 64) -> Dataset:
    """A dataset with a shard for each part."""
    entries = []
    for partition, columns in enumerate(parts):
        entry = write_shard(
            folder, shard_name(0, partition, 0), columns, vocabulary_size=50, length=length
        )
        rows = entry["rows"]
        entries.append(
            entry | dict.fromkeys(("tokens", "scored_tokens", "text_bytes", "words"), rows)
        )
    content = {**PAPER, "shards": entries, "vocabulary": asdict(BERT), "settings": SETTINGS}
    write_manifest(folder, content)
    return Dataset(folder)


def lists(column) -> list[list]:
    return [row.tolist() for row in column]


@given(flags, flags, st.integers(1, 60), st.data())
def test_flags_come_back_by_every_way_of_reading(tmp_path_factory, first, second, batch, data):
    folder = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "_BATCH_BYTES", batch)
        dataset = dataset_of(folder, [flagged(first), flagged(second)])
    rows = [*first, *second]
    indices = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=20))
    taken = dataset.rows(np.array(indices))["word_start"]
    shard = dataset.shard(0).rows(np.arange(len(first)))

    assert taken.values.dtype == np.bool_
    assert lists(taken) == [rows[i] for i in indices]
    assert lists(shard["word_start"]) == first
    joined = join_rows([shard, dataset.shard(1).rows(np.arange(len(second)))])
    assert lists(joined["word_start"]) == rows
    assert lists(take_rows(joined, np.array(indices))["word_start"]) == [rows[i] for i in indices]


def test_flags_are_stored_as_bits_and_read_by_datasets(tmp_path):
    rows = [[True, False, False], [], [True] * 9]
    dataset = dataset_of(tmp_path, [flagged(rows), flagged(rows[:1])])
    theirs = datasets.load_from_disk(str(tmp_path))

    assert dataset.shard(0).record_batch(0).schema.field("word_start").type == pa.list_(pa.bool_())
    assert theirs["word_start"] == [*rows, rows[0]]
    assert theirs[3]["word_start"] == rows[0]
    del theirs


def test_flags_of_a_slice_are_those_of_its_rows():
    rows = [[True, False], [False] * 7, [True] * 3]
    batch = to_arrow(flagged(rows), vocabulary_size=50, length=8)
    sliced = from_arrow(batch.slice(1).column("word_start"))

    assert lists(sliced) == rows[1:]


@pytest.mark.parametrize(
    "name",
    [
        "masked_positions", "document_starts", "sentence_starts", "span_starts", "span_lengths",
        "noise_positions",
    ],
)  # fmt: skip
def test_a_position_beyond_its_type_is_an_error(tmp_path, name):
    columns = {"input_ids": Ragged.from_rows([[5], [6]], np.int32)}
    fits = columns | {name: Ragged.from_rows([[0, 65_535], []], np.int64)}
    too_large = columns | {name: Ragged.from_rows([[], [7, 65_536]], np.int64)}
    negative = columns | {name: Ragged.from_rows([[-1], []], np.int64)}
    write_shard(tmp_path, "fits.arrow", fits, vocabulary_size=50, length=512)
    with pa.OSFile(str(tmp_path / "fits.arrow")) as file:
        stored = pa.ipc.open_stream(file).read_all()[name]

    assert (str(stored.type.value_type), stored.to_pylist()) == ("uint16", [[0, 65_535], []])
    for broken, value in ((too_large, 65_536), (negative, -1)):
        with pytest.raises(ValueError, match=f"{value} in column {name} does not fit in uint16"):
            write_shard(tmp_path, "x.arrow", broken, vocabulary_size=50, length=512)
    assert not (tmp_path / "x.arrow").exists()


@pytest.mark.parametrize("name", ["input_ids", "masked_labels", "labels"])
def test_an_id_beyond_its_type_is_an_error(tmp_path, name):
    columns = {name: Ragged.from_rows([[5, 70_000]], np.int32)}

    with pytest.raises(ValueError, match=f"70000 in column {name} does not fit in uint16"):
        write_shard(tmp_path, "x.arrow", columns, vocabulary_size=50, length=512)
    entry = write_shard(tmp_path, "x.arrow", columns, vocabulary_size=70_001, length=512)
    shard = Shard(tmp_path / "x.arrow", entry)
    assert lists(shard.rows(np.array([0]))[name]) == [[5, 70_000]]


def test_positions_in_raw_text_may_exceed_the_length(tmp_path):
    columns = {
        "input_ids": Ragged.from_rows([[5]], np.int32),
        "noise_positions": Ragged.from_rows([[3, 1005]], np.int32),
    }
    dataset = dataset_of(tmp_path, [columns], length=512)

    assert lists(dataset.rows(np.array([0]))["noise_positions"]) == [[3, 1005]]


def test_shards_without_ids_are_read_too(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_BATCH_BYTES", 24)  # two rows in a record batch
    columns = {
        "word": np.arange(7, dtype=np.int32),
        "context": np.arange(7, dtype=np.int32)[::-1].copy(),
        "weight": np.linspace(0, 1, 7, dtype=np.float32),
    }
    dataset = dataset_of(tmp_path, [columns, columns])
    rows = dataset.rows(np.array([13, 0, 6, 8]))

    assert rows["word"].tolist() == [6, 0, 6, 1]
    assert rows["context"].tolist() == [0, 6, 0, 5]
    assert rows["weight"].tolist() == columns["weight"][[6, 0, 6, 1]].tolist()


def test_record_batches_are_written_as_they_come(tmp_path):
    columns = flagged([[True, False], [False], [], [True] * 4, [True]])
    batch = to_arrow(columns, vocabulary_size=50, length=8)
    at_once = write_batches(tmp_path, "a.arrow", [batch])
    parts = (batch.slice(start, 2) for start in range(0, 5, 2))
    entry = write_batches(tmp_path, "b.arrow", parts)
    shard = Shard(tmp_path / "b.arrow", entry)

    assert entry["rows"] == at_once["rows"] == 5
    assert len(entry["batch_offsets"]) == 3
    assert lists(shard.rows(np.array([4, 2, 3]))["word_start"]) == [[True], [], [True] * 4]


def test_nothing_is_left_of_batches_that_end_in_an_error(tmp_path):
    batch = to_arrow(flagged([[True]]), vocabulary_size=50, length=8)

    def failing():
        yield batch
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_batches(tmp_path, "a.arrow", failing())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [pa.uint16(), pa.int32(), pa.int64(), pa.float64(), pa.bool_()])
def test_values_are_those_of_to_numpy(kind):
    whole = pa.array([i % 3 for i in range(21)]).cast(kind)
    for array in (whole, whole.slice(3), whole.slice(9, 7), whole.slice(21), whole[:0]):
        values, expected = flat(array), array.to_numpy(zero_copy_only=False)

        assert values.dtype == expected.dtype
        assert values.tolist() == expected.tolist()
        assert not values.flags.writeable


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.int64, np.float64, np.bool_])
def test_arrays_are_those_that_arrow_makes(kind):
    values = np.array([i % 3 for i in range(21)]).astype(kind)
    for column in (values, values[3:], values[:0], values[::2]):
        assert flat_array(column).equals(pa.array(column))
        flat_array(column).validate(full=True)


@pytest.mark.parametrize("does", ["lmprep.load('out').rows(np.arange(2))", "build()"])
def test_reading_and_writing_a_dataset_do_not_import_pandas(tmp_path, does):
    make_tokenizer(write_corpus(tmp_path / "c.txt", documents=4), tmp_path / "tok")
    build_dataset(tmp_path / "c.txt", tmp_path / "tok", tmp_path / "out")
    code = f"""if True:
        import sys, numpy as np, lmprep
        def build():
            from lmprep.cli import cli
            cli.main("build mlm c.txt -t tok -o new".split(), standalone_mode=False)
        {does}
        sys.exit("pandas" in sys.modules)"""

    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 0
