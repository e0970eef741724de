"""`lmprep evaluate` as a user meets it."""

from __future__ import annotations

import json

import pytest

from lmprep.pretrain_settings import PretrainSettings
from lmprep.training.pretraining import pretrain
from tests.corpora import build_dataset, make_tokenizer, write_corpus


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    corpus = write_corpus(folder / "corpus.txt")
    tokenizer = make_tokenizer(corpus, folder / "tok")
    build_dataset(corpus, tokenizer, folder / "train", valid="0.3")
    (folder / "model.toml").write_text("layers = 1\nwidth = 16\nheads = 2\nmax_length = 64\n")
    settings = PretrainSettings(
        model=str(folder / "model.toml"), steps=6, batch_tokens=400, checkpoint_every=3
    )
    pretrain([folder / "train"], folder / "run", settings)
    return folder


def test_a_table_shows_the_model_beside_its_baselines(lmprep, folder):
    done = lmprep("evaluate", folder / "run", folder / "valid")

    assert done.returncode == 0, done.stderr
    for row in ("masked tokens", "by frequency alone", "sentence pairs", "always the same label"):
        assert row in done.stdout


def test_every_checkpoint_and_dataset_gives_an_entry(lmprep, folder):
    datasets = folder / "valid", folder / "train"
    done = lmprep("evaluate", folder / "run", *datasets, "--checkpoint", "all", "--json")

    figures = json.loads(done.stdout)
    assert [(entry["dataset"], entry["step"]) for entry in figures] == [
        (str(dataset), step) for dataset in datasets for step in (3, 6)
    ]


def test_a_checkpoint_that_is_none_is_refused(lmprep, folder):
    done = lmprep("evaluate", folder / "run", folder / "valid", "--checkpoint", "last")
    assert done.returncode == 2
    assert "'last' is neither a step nor 'all'" in done.stderr
    done = lmprep("evaluate", folder / "run", folder / "valid", "--checkpoint", 4)
    assert done.returncode == 1
    assert "step-4: there is no such checkpoint" in done.stderr
