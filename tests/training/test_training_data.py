import numpy as np
import pytest
import torch
from tiny_runs import LENGTH, make_folders

from lmprep.objectives import stored_objective
from lmprep.shards.reader import Dataset
from lmprep.training.data import TrainingData, prefetched
from lmprep.training.unigram import count_unigrams


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folders(tmp_path_factory.mktemp("data"))


def data_of(folder, names=("train",), rows: int = 5, seed: int = 0) -> TrainingData:
    folders = [folder / name for name in names]
    return TrainingData(folders, batch_tokens=rows * LENGTH + 1, seed=seed, static=False)


@pytest.fixture
def reads(monkeypatch) -> list[tuple[str, int]]:
    """Dataset and index of every row that is really read, in this order."""
    seen: list[tuple[str, int]] = []
    rows = Dataset.rows

    def recording(self, indices):
        seen.extend((self.folder.name, index) for index in indices.tolist())
        return rows(self, indices)

    monkeypatch.setattr(Dataset, "rows", recording)
    return seen


@pytest.mark.parametrize("names", [("train",), ("train", "valid")])
def test_an_epoch_shows_every_row_once_in_an_order_of_its_own(folder, reads, names):
    data = data_of(folder, names)
    for step in range(-(-2 * data.rows // data.rows_per_step)):
        data.batch(step)
    first, second = reads[: data.rows], reads[data.rows : 2 * data.rows]
    every = [(name, i) for name in names for i in range(len(Dataset(folder / name)))]

    assert sorted(first) == sorted(second) == every
    assert first != second
    assert first != every


def test_batches_cover_each_epoch_exactly(folder):
    data = data_of(folder, ("train", "valid"))
    steps = data.rows  # as many as make 5 whole epochs
    seen = sum(data.batch(step).tokens for step in range(steps))

    assert data.rows_per_step == 5
    assert seen == 5 * data.tokens
    assert {len(data.batch(step).inputs.ids_BL) for step in range(0, steps, 7)} == {5}


def test_a_batch_across_the_end_of_an_epoch_holds_rows_of_both(folder, reads):
    data = data_of(folder, rows=8)
    step = data.rows // 8
    left = data.rows - step * 8
    assert data.position(step) == (0, step * 8)
    assert 0 < left < 8

    batches = [data.batch(earlier) for earlier in range(step + 1)]
    indices = np.array([index for _, index in reads])
    across = Dataset(folder / "train").rows(indices[-8:])
    assert sorted(indices[: data.rows]) == list(range(data.rows))
    assert batches[-1].inputs.lengths_B.tolist() == across["input_ids"].lengths.tolist()


def test_later_epochs_hide_other_tokens_of_the_same_rows(folder):
    data = data_of(folder)
    epochs = [
        [data.batch(step) for step in range(epoch * data.rows // 5, (epoch + 1) * data.rows // 5)]
        for epoch in range(2)
    ]
    masked = [torch.cat([batch.inputs.scored_M for batch in batches]) for batches in epochs]

    assert len(masked[0]) == pytest.approx(len(masked[1]), rel=0.1)
    assert masked[0].tolist() != masked[1].tolist()


def test_batches_made_ahead_come_in_order_and_end():
    assert list(prefetched(lambda step: step, 3, 9)) == list(range(3, 9))
    assert list(prefetched(lambda step: step, 3, 3)) == []
    endless = prefetched(lambda step: step, 3)
    assert [next(endless) for _ in range(20)] == list(range(3, 23))
    endless.close()


def test_an_error_while_making_a_batch_reaches_the_loop():
    def make(step):
        if step == 2:
            raise OSError("disk gone")
        return step

    batches = prefetched(make, 0)
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(OSError, match="disk gone"):
        next(batches)


def test_unigram_counts_are_those_of_all_rows_without_special_tokens(folder):
    dataset = Dataset(folder / "train")
    objective, settings = stored_objective(dataset.manifest)
    ids = objective.restore(dataset.rows(np.arange(len(dataset))), settings, dataset.vocabulary).ids
    expected = np.bincount(ids, minlength=dataset.vocabulary.size)
    expected[list({0, 2, 3, 4})] = 0

    assert count_unigrams([dataset], seed=0).tolist() == expected.tolist()
    sampled = count_unigrams([dataset], seed=0, sampled_tokens=1000).sum()
    assert 500 < sampled < expected.sum()
