"""Every objective that can be trained: batches, learning, and figures that count what they say."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import LENGTH, make_folders, settings_of, train

from lmprep.evaluation import evaluate
from lmprep.evaluation.held_out import load_model
from lmprep.shards.reader import Dataset
from lmprep.training.batch import make_batch
from lmprep.training.bins import one_row_each
from lmprep.training.data import TrainingData
from lmprep.training.metrics import read_metrics
from lmprep.training.preparation import prepare
from lmprep.training.pretraining import Result
from lmprep.training.steps import forward
from lmprep.training.tasks import task_of
from lmprep.training.unigram import load_unigrams

CASES: list[tuple[str, dict[str, Any]]] = [
    ("whole-word", {"pairs": "sop"}),
    ("ngram", {"pairs": "none", "sequences": "packed"}),
    ("span", {"pairs": "none"}),
    ("clm", {}),
    ("t5", {"noise": "random-spans"}),
    ("t5", {"noise": "replace-spans"}),
    ("t5", {"noise": "drop-tokens"}),
    ("t5", {"noise": "bert-style"}),
    ("t5", {"noise": "mass"}),
    ("t5", {"noise": "deshuffle"}),
    ("t5", {"noise": "prefix-lm"}),
    ("bart", {"delete_rate": "0.1"}),
    ("ul2", {}),
    ("infoword", {"pairs": "none"}),
    ("bilm", {}),
]
SORTS = ("corrupted", "backward", "copied", "marks")
STEPS = 40


@dataclass(frozen=True)
class Trained:
    """A run of `STEPS` steps over `folder/train`, and what it came to on `folder/valid`."""

    objective: str
    noise: str
    folder: Path
    result: Result
    figures: dict[str, Any]

    @property
    def valid(self) -> Dataset:
        return Dataset(self.folder / "valid")


@pytest.fixture(
    scope="module", params=CASES, ids=lambda case: "-".join((case[0], *case[1].values()))
)
def trained(request, tmp_path_factory) -> Trained:
    objective, changes = request.param
    folder = make_folders(tmp_path_factory.mktemp("every"), objective, **changes)
    result = train(
        folder, folder / "run", steps=STEPS, lr=5e-3, log_every=5, validation=folder / "valid"
    )
    figures = evaluate(folder / "run", folder / "valid", device="cpu")
    return Trained(objective, changes.get("noise", ""), folder, result, figures)


def test_it_learns(trained):
    losses = [line["token_loss"] for line in read_metrics(trained.folder / "run") if "loss" in line]

    assert losses[-1] < losses[0] - 0.3


def test_only_losses_that_there_are_are_reported(trained):
    expected = {"loss", "token_loss", "grad_norm"}
    expected |= {"pair_loss"} if trained.objective == "whole-word" else set()
    expected |= {"boundary_loss"} if trained.objective == "span" else set()
    if trained.objective == "infoword":
        expected |= {"ngram_loss", "ngram_information"}

    assert set(trained.result.losses) == expected


def slow_sorts(trained: Trained) -> list[tuple[str, int]]:
    """The sort and the label of each scored token of the held-out rows, one at a time."""
    dataset = trained.valid
    marks = set(dataset.vocabulary.special) - {dataset.vocabulary.unk}
    sorts = []
    for row in range(len(dataset)):
        columns = {k: np.asarray(v[0]).tolist() for k, v in dataset.rows(np.array([row])).items()}
        if "masked_labels" in columns:
            sorts += [("corrupted", label) for label in columns["masked_labels"]]
            continue
        if trained.objective == "bilm":
            both = ("corrupted", "backward")
            sorts += [(sort, label) for sort in both for label in columns["input_ids"][1:-1]]
            continue
        labels = columns.get("labels", columns["input_ids"][1:])
        for place, label in enumerate(labels):
            copied = (
                trained.noise in ("bert-style", "mass") and columns["input_ids"][place] == label
            ) or (trained.objective == "bart" and place not in columns["noise_positions"])
            sort = "marks" if label in marks else "copied" if copied else "corrupted"
            sorts.append((sort, label))
    return sorted(sorts, key=lambda found: found[0] == "backward")  # after all that is forward


def test_figures_count_each_sort_of_token_and_the_baseline_the_corrupted_ones(trained):
    sorts = slow_sorts(trained)
    counts = Counter(sort for sort, _ in sorts)
    unigrams = (load_unigrams(trained.folder / "run") + 1).tolist()
    surprisals = [
        math.log(sum(unigrams) / unigrams[label]) for sort, label in sorts if sort == "corrupted"
    ]

    for sort in SORTS:
        assert trained.figures.get(sort, {"tokens": 0})["tokens"] == counts[sort]
    assert counts["corrupted"] > 100
    assert (counts["copied"] > 100) == (
        trained.noise in ("bert-style", "mass") or trained.objective == "bart"
    )
    assert trained.figures["unigram"]["tokens"] == counts["corrupted"]
    assert trained.figures["unigram"]["cross_entropy"] == pytest.approx(np.mean(surprisals))


def test_figures_are_the_means_over_each_sort(trained):
    model, _ = load_model(trained.folder / "run")
    dataset, sorts = trained.valid, slow_sorts(trained)
    task = replace(
        task_of(dataset.manifest, dataset.folder), longest_span=model.settings.span_boundary
    )
    rows = np.arange(len(dataset))
    batch = make_batch(dataset.rows(rows), task, one_row_each(len(rows), task.length))
    with torch.no_grad():
        outputs = forward(model, batch, torch.float32)
    judged = {"boundary": (outputs.boundary_logits_SV, batch.labels.boundary_S)}
    for sort in SORTS:
        places = [place for place, (found, _) in enumerate(sorts) if found == sort]
        labels = torch.tensor([sorts[place][1] for place in places], dtype=torch.int64)
        judged[sort] = outputs.logits_MV[places], labels

    for sort, (logits, labels) in judged.items():
        if labels is None or not len(labels):
            assert sort not in trained.figures
            continue
        figures = trained.figures[sort]
        nats = -logits.double().log_softmax(-1)[torch.arange(len(labels)), labels]
        assert figures["cross_entropy"] == pytest.approx(nats.mean().item(), abs=1e-4)
        right = (logits.argmax(-1) == labels).double().mean().item()
        assert figures["accuracy"] == pytest.approx(right, abs=0.01)


def test_a_validation_is_the_mean_over_the_sorts_that_an_evaluation_parts(trained):
    sorts = [trained.figures[s] for s in SORTS if s in trained.figures]
    tokens = sum(sort["tokens"] for sort in sorts)
    loss = sum(sort["tokens"] * sort["cross_entropy"] for sort in sorts) / tokens
    validation = trained.result.validation

    assert validation["token_loss"] == pytest.approx(loss, abs=1e-4)
    if len(sorts) > 1:
        corrupted = trained.figures["corrupted"]
        name = "forward" if trained.objective == "bilm" else "corrupted"
        assert validation[f"{name}_loss"] == pytest.approx(corrupted["cross_entropy"], abs=1e-4)
        assert validation[f"{name}_accuracy"] == pytest.approx(corrupted["accuracy"], abs=1e-9)
    assert ("copied_loss" in validation) == ("copied" in trained.figures)


def test_the_boundary_objective_is_scored_on_every_masked_token_of_spans(trained):
    boundary = trained.figures.get("boundary")

    assert (boundary is not None) == (trained.objective == "span")
    if boundary is not None:  # no span touches the end of a row, which has special tokens there
        assert boundary["tokens"] == trained.figures["corrupted"]["tokens"]
        assert trained.result.validation["boundary_loss"] == pytest.approx(
            boundary["cross_entropy"], abs=1e-4
        )


def test_an_epoch_has_the_tokens_that_the_dataset_says(trained):
    data = TrainingData(
        [trained.folder / "train"], batch_tokens=5 * LENGTH, seed=0, static=False, packed=False
    )
    seen = sum(data.step(5 * step).tokens for step in range(data.rows))  # 5 epochs

    assert seen == 5 * data.tokens


def test_only_what_is_drawn_changes_from_epoch_to_epoch(trained):
    everything = LENGTH * len(Dataset(trained.folder / "train"))
    settings = settings_of(trained.folder, batch_tokens=everything, packed=False)
    data = prepare([trained.folder / "train"], settings).stages.all[0].data
    epochs = [data.step(epoch * data.rows).batches[0].inputs.ids_BL for epoch in range(2)]
    first, second = (sorted(ids_BL.tolist()) for ids_BL in epochs)

    assert (first == second) == (trained.objective in ("clm", "bilm"))
