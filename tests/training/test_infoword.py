"""InfoWord: n-grams matched with contexts, against transformers' BERT and plain sums."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lmprep.batches import Columns, plain, ragged
from lmprep.evaluation import evaluate
from lmprep.evaluation.held_out import load_model
from lmprep.models.cross_entropy import Projection
from lmprep.models.hf import to_hf, write_config
from lmprep.models.info_nce import among_candidates, info_nce
from lmprep.models.inputs import IGNORED
from lmprep.models.losses import LOSSES, Losses
from lmprep.ragged import Ragged
from lmprep.shards.reader import Dataset
from lmprep.training.batch import Batch, make_batch
from lmprep.training.bins import one_row_each
from lmprep.training.metrics import read_metrics
from lmprep.training.ngram_inputs import hidden_ngrams
from lmprep.training.ngram_scores import matched
from lmprep.training.preparation import prepare
from lmprep.training.static_shapes import Counts, fill_up
from lmprep.training.steps import loss_weights, targets
from lmprep.training.tasks import task_of
from lmprep.training.throughput import work_of
from lmprep.vocabulary import Vocabulary
from tests.finished_runs import lively_model
from tests.training.tiny_runs import LENGTH, make_folders, settings_of, train

transformers = pytest.importorskip("transformers")
ROWS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory, quick_disk) -> Path:
    return make_folders(tmp_path_factory.mktemp("infoword"), "infoword", pairs="none")


def first_rows(folder: Path) -> tuple[Batch, Columns]:
    dataset = Dataset(folder / "train")
    task = task_of(dataset.manifest, dataset.folder)
    columns = dataset.rows(np.arange(ROWS), task.columns)
    return make_batch(columns, task, one_row_each(ROWS, LENGTH)), columns


def test_the_loss_is_that_of_berts_first_states_one_text_at_a_time(folder):
    model = lively_model(prepare([folder / "train"], settings_of(folder)).model)
    batch, columns = first_rows(folder)
    vocabulary = Dataset(folder / "train").vocabulary
    config = write_config(model.settings, "BertForMaskedLM", vocabulary)
    bert = transformers.BertForMaskedLM(transformers.BertConfig(**config))
    bert.load_state_dict(to_hf(model.state_dict(), model.settings, "BertForMaskedLM"), strict=False)
    bert.tie_weights()

    def first_state(ids: list[int]) -> Tensor:
        with torch.no_grad():
            return bert.eval().bert(torch.tensor([ids])).last_hidden_state[0, 0].double()

    shown, ngrams, documents = [], [], plain(columns, "document").tolist()
    for row in range(ROWS):
        ids = ragged(columns, "input_ids")[row].tolist()
        masked = dict(
            zip(ragged(columns, "masked_positions")[row].tolist(),
                ragged(columns, "masked_labels")[row].tolist(), strict=True)
        )  # fmt: skip
        [start], [length] = (
            ragged(columns, "span_starts")[row],
            ragged(columns, "span_lengths")[row],
        )
        assert all(ids[i] == vocabulary.mask for i in range(start, start + length))
        shown.append(ids)
        ngrams.append([masked[i] for i in range(start, start + length)])
    told = [first_state([vocabulary.cls, *ngram, vocabulary.sep]) for ngram in ngrams]
    loss = information = 0.0
    sizes = []
    for row in range(ROWS):
        context = first_state(shown[row])
        rivals = [
            j for j in range(ROWS)
            if j == row or (documents[j] != documents[row] and ngrams[j] != ngrams[row])
        ]  # fmt: skip
        scores = {j: float(context @ told[j]) / math.sqrt(len(context)) for j in rivals}
        f = scores[row] - float(torch.tensor(list(scores.values())).double().logsumexp(0))
        loss -= f
        information += f + math.log(len(rivals))
        sizes.append(len(rivals))
    with torch.no_grad():
        found = dict(zip(LOSSES, Losses(model)(batch.inputs, batch.labels).tolist(), strict=True))
        scores_PP = model(batch.inputs).ngram_scores_PP
    figures = matched(scores_PP, batch.labels.ngrams_P).figures()

    assert min(sizes) < max(sizes) <= ROWS  # some share a document, or are the same
    assert found["ngram_loss"] == pytest.approx(loss, rel=1e-4)
    assert found["ngram_information"] == pytest.approx(information, rel=1e-3, abs=1e-3)
    assert dict(zip(LOSSES, targets([batch]), strict=True))["ngram_loss"] == ROWS
    assert figures["information"] == pytest.approx(information / ROWS, rel=1e-3, abs=1e-3)
    assert figures["candidates"] == np.mean(sizes)
    assert figures["chance"] == pytest.approx(np.mean([1 / n for n in sizes]))
    assert figures["information"] <= math.log(ROWS)


def test_with_the_vocabulary_as_candidates_it_is_the_masked_cross_entropy():
    generator = torch.Generator().manual_seed(3)
    states, words = (torch.randn(n, 8, generator=generator) for n in (6, 40))
    labels = torch.tensor([3, 39, 0, 3, 7, 11])
    scores = among_candidates(states @ words.t(), torch.zeros(6, 40, dtype=torch.bool))
    losses, information = info_nce(scores, labels)
    masked = Projection(states_MD=states, matrix_VD=words).loss(labels)

    assert losses.sum() == pytest.approx(float(masked), rel=1e-6)
    assert information.sum() == pytest.approx(6 * math.log(40) - float(masked), rel=1e-5)


def test_by_hand():
    scores = torch.tensor([[2.0, 1.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, 7.0]])
    excluded = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0]], dtype=torch.bool)
    losses, information = info_nce(among_candidates(scores, excluded), torch.arange(3))
    first = math.log(1 + math.exp(-1) + math.exp(-2))

    assert losses.tolist() == pytest.approx([first, math.log(2), 0.0])
    assert information.tolist() == pytest.approx([math.log(3) - first, 0.0, 0.0], abs=1e-6)
    ignored, nothing = info_nce(scores, torch.tensor([0, IGNORED, IGNORED]))
    assert ignored.tolist() == pytest.approx([first, 0, 0])
    assert nothing.tolist() == pytest.approx([math.log(3) - first, 0, 0])


def rows_of(*rows: list[int]) -> Ragged:
    return Ragged.from_rows(rows, np.int32)


def test_ngrams_stand_between_special_tokens_and_rivals_are_other_texts():
    """Rows 0 and 1 are of one document, row 2 has no n-gram, rows 0 and 4 hide the same."""
    vocabulary = Vocabulary(
        family="bert", size=30, special=(0, 1, 2, 3, 4), pad=0, unk=1, cls=2, sep=3, mask=4
    )
    columns: Columns = {
        "input_ids": rows_of(*[[2, 4, 4, 9, 4, 3]] * 5),
        "masked_positions": rows_of([1, 2, 4], [1, 2, 4], [1, 2, 4], [1, 2, 4], [1, 2, 4]),
        "masked_labels": rows_of([7, 8, 5], [6, 8, 5], [7, 8, 5], [9, 8, 5], [7, 8, 6]),
        "span_starts": rows_of([1], [4], [], [2], [1]),
        "span_lengths": rows_of([2], [1], [], [1], [2]),
        "document": np.array([50, 50, 51, 52, 53]),
    }
    found = hidden_ngrams(columns, vocabulary, np.arange(5) * 6)
    assert found is not None
    ngrams, answers = found

    assert ngrams.ids_PK.tolist() == [
        [2, 7, 8, 3, 0, 0, 0, 0], [2, 5, 3, 0, 0, 0, 0, 0], [2, 8, 3, 0, 0, 0, 0, 0],
        [2, 7, 8, 3, 0, 0, 0, 0],
    ]  # fmt: skip
    assert ngrams.lengths_P.tolist() == [4, 3, 3, 4]
    assert ngrams.contexts_P.tolist() == [0, 6, 18, 24]
    assert answers.tolist() == [0, 1, 2, 3]
    assert ngrams.excluded_PP.tolist() == [
        [False, True, False, True],
        [True, False, False, False],
        [False, False, False, False],
        [True, False, False, False],
    ]
    columns |= {"span_starts": rows_of(*[[]] * 5), "span_lengths": rows_of(*[[]] * 5)}
    assert hidden_ngrams(columns, vocabulary, np.arange(5) * 6) is None


def test_what_fills_a_batch_up_changes_neither_losses_nor_gradients(folder):
    model = lively_model(prepare([folder / "train"], settings_of(folder)).model)
    batch, _ = first_rows(folder)
    counts = Counts(scored=len(batch.labels.tokens_M) + 5, firsts=ROWS + 7, runs=0)
    inputs, labels, _ = fill_up(batch.inputs, batch.labels, batch.kinds_M, counts)
    gradients, sums = [], []
    for each in ((batch.inputs, batch.labels), (inputs, labels)):
        model.zero_grad()
        sums.append(Losses(model)(*each))
        sums[-1].sum().backward()
        gradients.append(model.encoder.tokens.weight.grad.clone())

    assert len(labels.ngrams_P) == ROWS + 7
    assert torch.allclose(*sums, rtol=1e-5)
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-4)
    assert torch.isfinite(gradients[1]).all()


def test_ngrams_count_as_work(folder):
    batch, columns = first_rows(folder)
    lengths = ragged(columns, "input_ids").lengths
    ngrams = ragged(columns, "span_lengths").values + 2

    assert work_of(batch).tokens == lengths.sum() + ngrams.sum()
    assert work_of(batch).squares == (lengths**2).sum() + (ngrams**2).sum()


def test_it_learns_resumes_and_says_how_much_beside_blind_choice(folder):
    usual = {
        "steps": 60, "checkpoint_every": 30, "lr": 3e-3, "log_every": 5,
        "batch_tokens": 16 * LENGTH, "validation": folder / "valid",
    }  # fmt: skip
    result = train(folder, folder / "run", **usual)
    figures = evaluate(folder / "run", folder / "valid", device="cpu")
    lines = [line for line in read_metrics(folder / "run") if "loss" in line]
    ngrams = figures["ngrams"]

    assert set(result.losses) == {
        "loss", "token_loss", "ngram_loss", "ngram_information", "grad_norm"
    }  # fmt: skip
    assert dict(zip(LOSSES, loss_weights(settings_of(folder)), strict=True))["ngram_loss"] == 1
    assert loss_weights(settings_of(folder))[LOSSES.index("ngram_information")] == 0
    assert lines[-1]["loss"] == pytest.approx(lines[-1]["token_loss"] + lines[-1]["ngram_loss"])
    assert lines[-1]["ngram_loss"] < lines[0]["ngram_loss"]
    assert lines[-1]["ngram_information"] > lines[0]["ngram_information"]
    assert 0 < ngrams["chance"] < 1
    assert ngrams["contexts"] == figures["rows"] == len(Dataset(folder / "valid"))
    assert result.validation["ngram_information"] == pytest.approx(ngrams["information"], abs=1e-3)

    train(folder, folder / "parted", **usual)
    last = folder / "parted" / "checkpoints" / "step-60"
    for path in last.iterdir():
        path.unlink()
    last.rmdir()
    train(folder, folder / "parted", resume=True, **usual)
    one, two = (load_model(folder / name)[0].state_dict() for name in ("run", "parted"))
    assert all(torch.equal(one[name], two[name]) for name in one)
