"""Evaluation counts what it says, on exactly the stored masks."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lmprep.errors import CheckpointError, UsageError
from lmprep.evaluation import evaluate
from lmprep.evaluation.held_out import load_model, unigram_metrics
from lmprep.models.hf import to_hf
from lmprep.pretrain_settings import PretrainSettings
from lmprep.shards.collate import Collator
from lmprep.shards.reader import Dataset
from lmprep.training.pretraining import pretrain
from tests.corpora import build_dataset, make_tokenizer, write_corpus


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    corpus = write_corpus(folder / "corpus.txt")
    tokenizer = make_tokenizer(corpus, folder / "tok")
    build_dataset(corpus, tokenizer, folder / "train", valid="0.3")
    build_dataset(corpus, tokenizer, folder / "single", pairs="none")
    build_dataset(corpus, tokenizer, folder / "long", length=80)
    (folder / "model.toml").write_text("layers = 1\nwidth = 32\nheads = 2\nmax_length = 64\n")
    torch.set_num_threads(1)
    settings = PretrainSettings(
        model=str(folder / "model.toml"),
        steps=30,
        lr=5e-3,
        batch_tokens=400,
        device="cpu",
        checkpoint_every=20,
    )
    pretrain([folder / "train"], folder / "run", settings)
    return folder


@pytest.fixture(scope="module")
def figures(folder) -> dict:
    return evaluate(folder / "run", folder / "valid", device="cpu")


def test_the_figures_equal_those_of_transformers_with_the_same_weights(folder, figures):
    transformers = pytest.importorskip("transformers")
    dataset = Dataset(folder / "valid")
    model, step = load_model(folder / "run")
    shape = model.settings
    theirs = transformers.BertForPreTraining(
        transformers.BertConfig(
            vocab_size=shape.vocabulary_size,
            hidden_size=shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.feed_forward,
            max_position_embeddings=shape.max_length,
        )
    ).eval()
    theirs.load_state_dict(to_hf(model.state_dict(), shape), strict=False)
    inputs = Collator(dataset)(dataset.rows(np.arange(len(dataset))))
    labels, pairs = inputs.pop("labels"), inputs.pop("next_sentence_label")
    with torch.no_grad():
        out = theirs(**inputs)
    scored = labels != -100
    logits, wanted = out.prediction_logits[scored], labels[scored]

    assert figures["step"] == step == 30
    assert figures["rows"] == len(dataset)
    assert figures["corrupted"]["tokens"] == scored.sum()
    assert figures["corrupted"]["cross_entropy"] == pytest.approx(
        F.cross_entropy(logits, wanted).item(), abs=1e-5
    )
    assert figures["corrupted"]["accuracy"] == (logits.argmax(-1) == wanted).double().mean().item()
    assert figures["corrupted"]["perplexity"] == math.exp(figures["corrupted"]["cross_entropy"])
    assert figures["pairs"]["cross_entropy"] == pytest.approx(
        F.cross_entropy(out.seq_relationship_logits, pairs).item(), abs=1e-5
    )
    assert figures["pairs"]["accuracy"] == pytest.approx(
        (out.seq_relationship_logits.argmax(-1) == pairs).double().mean().item()
    )
    share = pairs.double().mean().item()
    assert figures["pairs"]["majority"] == pytest.approx(max(share, 1 - share))


def test_a_hand_counted_unigram_baseline():
    # Smoothed counts 4, 1, 3 of 8; to predict: id 0 once, id 1 once, id 2 twice.
    metrics = unigram_metrics(np.array([3, 0, 2]), np.array([1, 1, 2]))

    bits = (1 + 3 + 2 * math.log2(8 / 3)) / 4
    assert metrics["cross_entropy"] == pytest.approx(bits * math.log(2))
    assert metrics["perplexity"] == pytest.approx(2**bits)
    assert metrics["accuracy"] == 0.25  # always id 0


def test_evaluating_again_gives_the_same_figures(folder, figures):
    assert evaluate(folder / "run", folder / "valid", device="cpu") == figures


def test_bf16_gives_nearly_the_same_figures(folder, figures):
    rough = evaluate(folder / "run", folder / "valid", device="cpu", precision="bf16")

    assert rough["corrupted"]["cross_entropy"] == pytest.approx(
        figures["corrupted"]["cross_entropy"], rel=0.02
    )
    assert rough["unigram"] == figures["unigram"]


def test_an_older_checkpoint_can_be_chosen(folder, figures):
    older = evaluate(folder / "run", folder / "valid", device="cpu", step=20)

    assert older["step"] == 20
    assert older["corrupted"] != figures["corrupted"]
    with pytest.raises(CheckpointError, match="step-7: there is no such checkpoint"):
        evaluate(folder / "run", folder / "valid", step=7)


def test_what_does_not_go_with_the_run_is_refused(folder, tmp_path):
    corpus = write_corpus(tmp_path / "corpus.txt", seed=8)
    tokenizer = make_tokenizer(corpus, tmp_path / "tok")
    build_dataset(corpus, tokenizer, tmp_path / "other")

    with pytest.raises(UsageError, match=r"other: its tokenizer is .*, that of .*run is"):
        evaluate(folder / "run", tmp_path / "other")
    with pytest.raises(UsageError, match=r"its kind of pairs is none, that of .*run is nsp"):
        evaluate(folder / "run", folder / "single")
    with pytest.raises(UsageError, match=r"80 tokens do not fit the model's 64 positions"):
        evaluate(folder / "run", folder / "long")
    with pytest.raises(UsageError, match="this is not a run folder"):
        evaluate(folder / "train", folder / "valid")


def test_a_run_without_a_checkpoint_says_so(folder, tmp_path):
    run = shutil.copytree(folder / "run", tmp_path / "run")
    shutil.rmtree(run / "checkpoints")

    with pytest.raises(CheckpointError, match="the run has no checkpoint yet"):
        evaluate(run, folder / "valid")
