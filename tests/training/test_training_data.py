"""Steps: the rows of the endless order, each once, whoever shares a step and wherever it begins."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import LENGTH, make_folders
from torch import Tensor

from lmprep import dynamic
from lmprep.errors import UsageError
from lmprep.models.inputs import IGNORED
from lmprep.objectives import stored_objective
from lmprep.shards.reader import Dataset
from lmprep.training.batch import make_batch
from lmprep.training.bins import one_row_each
from lmprep.training.data import StepData, TrainingData, steps
from lmprep.training.prefetch import prefetched
from lmprep.training.unigram import count_unigrams
from tests.corpora import build_dataset, make_tokenizer, write_corpus

BINS = 5
KINDS = {
    "pairs": {"objective": "mlm"},
    "documents": {"objective": "whole-word", "pairs": "none"},
    "spans": {"objective": "span", "pairs": "none", "sequences": "packed"},
    "next": {"objective": "clm"},
    "t5": {"objective": "t5"},
    "bart": {"objective": "bart", "sequences": "document"},
    "ul2": {"objective": "ul2"},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folders of each of `KINDS`, made when first asked for."""
    done: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in done:
            done[kind] = make_folders(tmp_path_factory.mktemp(kind), **KINDS[kind])
        return done[kind]

    return make


@pytest.fixture(scope="module")
def folder(made) -> Path:
    return made("pairs")


def data_of(folder: Path, names=("train",), bins: int = BINS, **changes) -> TrainingData:
    usual = {"seed": 0, "static": False}
    folders = [folder / name for name in names]
    data = TrainingData(folders, batch_tokens=bins * LENGTH + 1, **{**usual, **changes})
    object.__setattr__(data.task, "longest_span", 3 if data.task.objective == "span" else 0)
    return data


def walk(data: TrainingData, count: int, position: int = 0) -> list[StepData]:
    """The next steps, one after another."""
    found: list[StepData] = []
    for _ in range(count):
        found.append(data.step(position))
        position = found[-1].next
    return found


def epoch_of(data: TrainingData, epoch: int = 0) -> list[StepData]:
    """Steps that begin in an epoch."""
    found = [data.step(epoch * data.rows)]
    while found[-1].next < (epoch + 1) * data.rows:
        found.append(data.step(found[-1].next))
    return found


def tensors(record: object) -> dict[str, object]:
    """Tensors, plain values and those of records within, by name."""
    flat: dict[str, object] = {}
    for name, value in vars(record).items():
        if hasattr(value, "each"):
            flat |= {f"{name}.{inner}": v for inner, v in tensors(value).items()}
        else:
            flat[name] = value.tolist() if isinstance(value, Tensor) else value
    return flat


def rows_in(data: TrainingData, step: StepData) -> list[tuple]:
    """Each row of a step: ids, where it is scored and on what; with its pair label, if any."""
    return sorted(row for batch in step.batches for row in _rows_of(data, batch))


def _rows_of(data: TrainingData, batch) -> list[tuple]:
    ids, width = batch.inputs.ids_BL.flatten().tolist(), batch.inputs.ids_BL.shape[1]
    places = batch.inputs.positions_BL
    places = [i % width for i in range(len(ids))] if places is None else places.flatten().tolist()
    padding = data.task.vocabulary.pad
    starts = [i for i, p in enumerate(places) if p == 0 and ids[i] != padding]
    scored = dict(zip(batch.inputs.scored_M.tolist(), batch.labels.tokens_M.tolist(), strict=True))
    pairs = {}
    if batch.labels.pairs_P is not None:
        firsts = batch.inputs.firsts_P.tolist()
        pairs = dict(zip(firsts, batch.labels.pairs_P.tolist(), strict=True))
    found = []
    for start in starts:
        stop = start + 1
        while stop < len(ids) and places[stop] == stop - start and ids[stop] != padding:
            stop += 1
        answers = tuple((i - start, scored[i]) for i in range(start, stop) if i in scored)
        found.append((tuple(ids[start:stop]), answers, pairs.get(start)))
    return found


def expected_rows(data: TrainingData, step: StepData) -> list[tuple]:
    """The slow twin: row after row of the order, read by itself."""
    places = data._order.between(step.first, step.next)
    found = []
    for dataset, epoch, row in zip(
        places.dataset_N.tolist(), places.epoch_N.tolist(), places.row_N.tolist(), strict=True
    ):
        columns = dynamic.load(data.datasets[dataset].folder, epoch).rows(np.array([row]))
        alone = one_row_each(1, data.task.length)
        found += _rows_of(data, make_batch(columns, data.task, alone))
    return sorted(found)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", ["pairs", "documents", "spans"])
def test_a_step_holds_exactly_the_rows_of_the_order(made, kind, packed):
    data = data_of(made(kind), packed=packed)
    for step in (*walk(data, 3), data.step(data.rows - 2), data.step(3 * data.rows + 1)):
        assert rows_in(data, step) == expected_rows(data, step)
        assert step.next - step.first >= BINS
        assert len(step.batches[0].inputs.ids_BL) == BINS


def test_packing_takes_more_rows_into_the_same_positions(made):
    data, alone = (data_of(made("documents"), packed=packed) for packed in (True, False))
    packed, padded = (sum(s.tokens for s in walk(each, 8)) for each in (data, alone))

    assert all(step.next - step.first == BINS for step in walk(alone, 8))
    assert packed > 1.05 * padded


@pytest.mark.parametrize("names", [("train",), ("train", "valid")])
def test_steps_go_through_each_epoch_without_a_gap(folder, names):
    data = data_of(folder, names)
    walked = walk(data, 2 * len(epoch_of(data)))

    assert all(step.next == following.first for step, following in pairwise(walked))
    every = Counter()
    for step in walked:
        places = data._order.between(step.first, step.next)
        every.update(zip(places.dataset_N, places.epoch_N, places.row_N, strict=True))
    sizes = [len(dataset) for dataset in data.datasets]
    assert max(every.values()) == 1
    assert {(d, 0, row) for d, n in enumerate(sizes) for row in range(n)} <= set(every)
    assert data.epoch(walked[-1].next) == walked[-1].next / sum(sizes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("ranks", "micro_rows"), [(1, 2), (2, None), (2, 1), (3, 2), (3, 1)])
def test_processes_and_batches_share_the_same_step(made, kind, ranks, micro_rows):
    data = data_of(made(kind))
    for position in (0, data.rows + 3):  # as stored, and corrupted anew
        whole = data.step(position)
        shared = [data.step(position, rank, ranks, micro_rows) for rank in range(ranks)]

        assert {(s.first, s.next, s.tokens) for s in shared} == {
            (whole.first, whole.next, whole.tokens)
        }
        assert len({len(s.batches) for s in shared}) == 1
        batches = [batch for step in shared for batch in step.batches]
        assert sum(batch.tokens for batch in batches) == whole.tokens
        assert joined(batches) == joined(whole.batches)


def joined(batches: list) -> dict[int, tuple]:
    """Of every bin: its ids and what is predicted from it, wherever it was made."""
    found: dict[int, tuple] = {}
    for batch in batches:
        inputs = batch.inputs
        width = (inputs.ids_BL if inputs.decoder_ids_BK is None else inputs.decoder_ids_BK).shape[1]
        places = inputs.positions_BL
        if places is None:
            places = torch.arange(inputs.ids_BL.shape[1]).expand_as(inputs.ids_BL)
        shown = inputs.ids_BL != (0 if inputs.decoder_ids_BK is None else -1)
        for number, ids in enumerate(inputs.ids_BL.tolist()):
            if not torch.any(inputs.scored_M // width == number):
                continue  # an empty bin, or one that predicts nothing
            mine = inputs.scored_M // width == number
            decoder = None if inputs.decoder_ids_BK is None else inputs.decoder_ids_BK[number]
            types = None if inputs.types_BL is None else inputs.types_BL[number].tolist()
            found[batch.row + number] = (
                ids,
                (places * shown)[number].tolist(),
                types,
                None if decoder is None else decoder.tolist(),
                (inputs.scored_M[mine] % width).tolist(),
                batch.labels.tokens_M[mine].tolist(),
                batch.kinds_M[mine].tolist(),
                _within(inputs.firsts_P, batch.labels.pairs_P, number, width),
                _spans(batch, number, width),
                _cuts(inputs, number),
            )
    return found


def _within(flat: Tensor | None, labels: Tensor | None, number: int, width: int) -> list | None:
    if flat is None:
        return None
    mine = flat // width == number
    return [(flat[mine] % width).tolist(), labels[mine].tolist()]


def _spans(batch, number: int, width: int) -> list | None:
    spans = batch.inputs.boundaries
    if spans is None:
        return None
    right = _within(spans.right_S, batch.labels.boundary_S, number, width)
    return [*_within(spans.left_S, spans.offset_S, number, width), *right]


def _cuts(inputs, number: int) -> list | None:
    """Where runs begin in a bin, by documents or by its one row."""
    width = inputs.ids_BL.shape[1]
    if inputs.documents is not None:
        cuts = inputs.documents.offsets_S.tolist()
        return [cut - number * width for cut in cuts if 0 <= cut - number * width < width]
    length = width if inputs.lengths_B is None else int(inputs.lengths_B[number])
    return [0] if length == width else [0, length]


@pytest.mark.parametrize("kind", ["pairs", "next", "t5"])
def test_a_step_is_the_same_without_its_history(made, kind):
    walked = walk(data_of(made(kind)), 30)
    for number in (0, 7, 19, 29):
        again = data_of(made(kind)).step(walked[number].first)
        assert again.next == walked[number].next
        assert [tensors(b) for b in again.batches] == [tensors(b) for b in walked[number].batches]
    with closing(steps(data_of(made(kind)), walked[7].first)) as ahead:
        for expected, found in zip(walked[7:12], ahead, strict=False):
            assert tensors(found.batches[0]) == tensors(expected.batches[0])
            assert (found.first, found.next) == (expected.first, expected.next)


@pytest.mark.parametrize("static", [True, False])
def test_later_epochs_see_other_copies(tmp_path, static):
    corpus = write_corpus(tmp_path / "corpus.txt", documents=20)
    tokenizer = make_tokenizer(corpus, tmp_path / "tok")
    out = build_dataset(corpus, tokenizer, tmp_path / "out", pairs="none", copies=2)
    data = TrainingData([out], batch_tokens=4 * LENGTH, seed=0, static=static)
    hidden = []
    for epoch in range(4):
        step = data.step(epoch * data.rows)
        copy = dynamic.load(out, epoch % 2 if static else epoch)
        rows = data._order.between(step.first, step.next).row_N
        hidden.append(sorted(rows.tolist()))
        alone = make_batch(copy.rows(rows), data.task, one_row_each(len(rows), LENGTH))
        assert rows_in(data, step) == sorted(_rows_of(data, alone))
    assert len({tuple(rows) for rows in hidden}) == 4


def test_a_mixture_holds_its_shares(folder):
    weights = [Fraction("0.8"), Fraction("0.2")]
    data = data_of(folder, ("train", "valid"), weights=weights, packed=False, bins=64)
    seen = Counter()
    for step in walk(data, 16):
        places = data._order.between(step.first, step.next)
        seen.update(places.dataset_N.tolist())
        assert rows_in(data, step) == expected_rows(data, step)

    assert seen == {0: 819, 1: 205}  # of 1024: 819.2 and 204.8


@pytest.mark.parametrize("micro_rows", [None, 4])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_static_shapes_stay_as_they_are_and_change_no_answer(made, kind, packed, micro_rows):
    data = data_of(made(kind), bins=9, packed=packed)
    shapes, position = Counter(), 0
    for _ in range(50):
        step = data.step(position, micro_rows=micro_rows, static_shapes=True)
        shapes.update(map(shape_of, step.batches))
        free = data.step(position, micro_rows=micro_rows)
        position = step.next
        for batch, other in zip(step.batches, free.batches, strict=True):
            kept = batch.labels.tokens_M != IGNORED
            assert batch.labels.tokens_M[kept].tolist() == other.labels.tokens_M.tolist()
            assert batch.tokens == other.tokens
    assert len(shapes) == 1, shapes


def shape_of(batch) -> tuple:
    """Shapes and plain values; whether rows are all full, which drops their lengths, aside."""

    def plain(record: object) -> list:
        found = []
        for name, value in sorted(vars(record).items()):
            if hasattr(value, "each"):
                found.append((name, *plain(value)))
            elif name not in ("lengths_B", "tokens", "row"):
                found.append((name, tuple(value.shape) if isinstance(value, Tensor) else value))
        return found

    return tuple(plain(batch))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bins": 0}, "--batch-tokens 1 holds no sequence of 48 tokens"),
        ({"weights": [Fraction(1)], "names": ("train", "valid")}, "1 weights do not go with 2"),
        ({"weights": [Fraction(0)]}, "weight 1 is a share of 0"),
    ],
)
def test_settings_that_do_not_go_with_the_data_are_refused_at_once(folder, changes, reason):
    with pytest.raises(UsageError, match=reason):
        data_of(folder, **changes)


def test_a_process_reads_its_own_rows_only(folder, monkeypatch):
    read: list[int] = []
    rows = Dataset.rows

    def recording(self, indices, names=None):
        read.extend(indices.tolist())
        return rows(self, indices, names)

    monkeypatch.setattr(Dataset, "rows", recording)
    data = data_of(folder)
    whole = data.step(0)
    everything = sorted(read)
    read.clear()
    data.step(0, rank=1, ranks=2)

    assert everything == sorted(data._order.between(0, whole.next).row_N.tolist())
    assert 0 < len(read) < len(everything)


def test_what_is_made_ahead_comes_in_order_and_ends():
    assert list(prefetched(iter(range(9)))) == list(range(9))
    assert list(prefetched(iter([]))) == []
    made: list[int] = []
    with closing(prefetched(made.append(i) or i for i in range(100))) as items:
        assert list(islice(items, 20)) == list(range(20))
    assert len(made) <= 23


def test_an_error_while_making_an_item_comes_in_its_place():
    def items():
        yield from range(2)
        raise OSError("disk gone")

    ahead = prefetched(items())
    assert [next(ahead), next(ahead)] == [0, 1]
    with pytest.raises(OSError, match="disk gone"):
        next(ahead)


def test_unigram_counts_are_those_of_all_rows_without_special_tokens(folder):
    dataset = Dataset(folder / "train")
    objective, settings = stored_objective(dataset.manifest)
    ids = objective.restore(dataset.rows(np.arange(len(dataset))), settings, dataset.vocabulary).ids
    expected = np.bincount(ids, minlength=dataset.vocabulary.size)
    expected[list({0, 2, 3, 4})] = 0

    assert count_unigrams([dataset], seed=0).tolist() == expected.tolist()
    sampled = count_unigrams([dataset], seed=0, sampled_tokens=1000).sum()
    assert 500 < sampled < expected.sum()


def test_rows_that_nearly_fill_their_bins_by_themselves_are_not_packed(tmp_path):
    corpus = write_corpus(tmp_path / "corpus.txt")
    tokenizer = make_tokenizer(corpus, tmp_path / "tok")
    found = {}
    for length in (12, 200):
        out = build_dataset(
            corpus, tokenizer, tmp_path / str(length), pairs="none", sequences="document",
            length=length,
        )  # fmt: skip
        data = TrainingData([out], batch_tokens=4 * length, seed=0, static=True)
        step = data.step(0)
        shares = data.tokens / (data.rows * length)
        found[length] = (shares >= 0.9, step.next == 4, step.batches[0].inputs.documents is None)

    assert found == {12: (True, True, True), 200: (False, False, False)}
