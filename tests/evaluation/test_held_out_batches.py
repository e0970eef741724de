"""Scoring in batches gives what scoring row by row gives, whatever the size of a batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lmprep.evaluation import evaluate
from lmprep.evaluation.held_out import load_model
from lmprep.pretrain_settings import PretrainSettings
from lmprep.shards.reader import Dataset
from lmprep.training import validation
from lmprep.training.batch import make_batch
from lmprep.training.bins import one_row_each
from lmprep.training.metrics import read_metrics
from lmprep.training.pretraining import pretrain
from lmprep.training.steps import forward
from lmprep.training.tasks import task_of
from tests.corpora import build_dataset, make_tokenizer, write_corpus

LENGTH, ROWS = 48, 5  # of a batch


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("batches")
    corpus = write_corpus(folder / "corpus.txt")
    tokenizer = make_tokenizer(corpus, folder / "tok")
    build_dataset(corpus, tokenizer, folder / "train", valid="0.2", length=LENGTH)
    (folder / "model.toml").write_text("layers = 1\nwidth = 32\nheads = 2\nmax_length = 64\n")
    settings = PretrainSettings(
        model=str(folder / "model.toml"),
        steps=30,
        lr=5e-3,
        batch_tokens=8 * LENGTH,
        precision="fp32",
        device="cpu",
    )
    pretrain([folder / "train"], folder / "run", settings, validation=folder / "valid")
    return folder


@pytest.fixture
def small_batches(monkeypatch) -> None:
    monkeypatch.setattr(validation, "BATCH_TOKENS", ROWS * LENGTH)


@pytest.fixture(scope="module")
def by_rows(folder) -> dict[str, float]:
    """The slow twin: one row at a time, without padding, one masked token at a time."""
    model, _ = load_model(folder / "run")
    dataset = Dataset(folder / "valid")
    task = task_of(dataset.manifest, dataset.folder)
    tokens, pairs = [], []  # of each: nats, and whether the guess was right
    for row in range(len(dataset)):
        columns = dataset.rows(np.array([row]))
        unpadded = replace(task, length=int(columns["input_ids"].lengths[0]))
        batch = make_batch(columns, unpadded, one_row_each(1, unpadded.length))
        with torch.no_grad():
            outputs = forward(model, batch, torch.float32)
        labels = batch.labels.tokens_M.tolist()
        tokens += [judged(*guess) for guess in zip(outputs.logits_MV, labels, strict=True)]
        pairs.append(judged(outputs.pair_logits_P2[0], int(batch.labels.pairs_P)))
    (token, token_right), (pair, pair_right) = (np.mean(kind, axis=0) for kind in (tokens, pairs))
    return {
        "tokens": len(tokens),
        "token_loss": token,
        "token_accuracy": token_right,
        "pair_loss": pair,
        "pair_accuracy": pair_right,
    }


def judged(logits: torch.Tensor, label: int) -> tuple[float, bool]:
    return -logits.double().log_softmax(0)[label].item(), int(logits.argmax()) == label


def test_the_rows_make_several_batches_and_a_partial_one(folder):
    rows = len(Dataset(folder / "valid"))

    assert rows > 3 * ROWS
    assert rows % ROWS


@pytest.mark.usefixtures("small_batches")
def test_several_batches_and_a_partial_one_count_every_row_once(folder, by_rows):
    figures = evaluate(folder / "run", folder / "valid", device="cpu")

    assert figures["rows"] == len(Dataset(folder / "valid"))
    assert figures["corrupted"]["tokens"] == by_rows["tokens"]
    assert figures["corrupted"]["cross_entropy"] == pytest.approx(by_rows["token_loss"], abs=1e-5)
    assert figures["corrupted"]["accuracy"] == pytest.approx(by_rows["token_accuracy"])
    assert figures["pairs"]["cross_entropy"] == pytest.approx(by_rows["pair_loss"], abs=1e-5)
    assert figures["pairs"]["accuracy"] == pytest.approx(by_rows["pair_accuracy"])


def test_the_size_of_a_batch_changes_nothing(folder, monkeypatch):
    figures = []
    for rows in (1, ROWS, 1000):
        monkeypatch.setattr(validation, "BATCH_TOKENS", rows * LENGTH)
        figures.append(evaluate(folder / "run", folder / "valid", device="cpu"))

    for one in figures[1:]:
        assert one["unigram"] == figures[0]["unigram"]
        for part in ("corrupted", "pairs"):
            assert one[part] == pytest.approx(figures[0][part], abs=1e-4)


def test_a_run_validates_as_it_would_be_evaluated(folder, by_rows):
    [line] = [line for line in read_metrics(folder / "run") if "validation" in line]

    expected = {name: value for name, value in by_rows.items() if name != "tokens"}
    assert line["validation"] == pytest.approx(expected, abs=1e-5)


def test_bf16_is_really_computed_in_bf16(folder, by_rows):
    rough = evaluate(folder / "run", folder / "valid", device="cpu", precision="bf16")

    assert rough["corrupted"]["cross_entropy"] == pytest.approx(by_rows["token_loss"], rel=0.02)
    assert abs(rough["corrupted"]["cross_entropy"] - by_rows["token_loss"]) > 1e-5
