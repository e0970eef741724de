"""Datasets and trainings small enough for a second each."""

from __future__ import annotations

from pathlib import Path

import torch

from lmprep.pretrain_settings import PretrainSettings
from lmprep.training.pretraining import Result, pretrain
from tests.corpora import build_dataset, make_tokenizer, write_corpus

# More threads than free cores wait for each other: seconds instead of milliseconds a step.
torch.set_num_threads(1)

LENGTH = 48
# BART's decoder has positions, and its targets are longer than its inputs.
_SHAPE = "layers = 2\nwidth = 32\nheads = 2\nmax_length = 128\n"
_FAMILIES = {"clm": "gpt2", "t5": "t5", "bart": "roberta", "ul2": "ul2"}
_BASES = {
    "clm": "gpt2-tiny", "t5": "t5-tiny", "bart": "bart-tiny", "ul2": "t5v1.1-tiny",
    "bilm": "elmo-tiny",
}  # fmt: skip


def make_folders(folder: Path, objective: str = "mlm", **changes: object) -> Path:
    """A corpus, its tokenizer, datasets `train` and `valid` and a model file for an objective.

    The masked ones have sentence pairs, unless changed.
    """
    corpus = write_corpus(folder / "corpus.txt")
    tokenizer = make_tokenizer(corpus, folder / "tok", family=_FAMILIES.get(objective, "bert"))
    build_dataset(
        corpus,
        tokenizer,
        folder / "train",
        objective=objective,
        **{"valid": "0.2", "length": LENGTH, **changes},
    )
    base = _BASES.get(objective, "bert-tiny")
    (folder / "model.toml").write_text(f'base = "{base}"\n{_SHAPE}')
    return folder


def settings_of(folder: Path, **changes: object) -> PretrainSettings:
    """Settings of a run of a few steps of 8 rows, in float32."""
    usual: dict = {
        "model": str(folder / "model.toml"),
        "batch_tokens": 8 * LENGTH,
        "precision": "fp32",
        "device": "cpu",
        "log_every": 4,
        "checkpoint_every": 1000,
        "lr": 1e-3,
    }
    if not {"steps", "tokens", "time"} & set(changes):
        usual["steps"] = 6
    return PretrainSettings(**{**usual, **changes})


def train(folder: Path, run: Path, resume: bool = False, **changes: object) -> Result:
    """Pretrain on `folder/train`; `on_progress` and `validation` are passed on."""
    names = {"on_progress", "validation"} & set(changes)
    passed: dict = {name: changes.pop(name) for name in names}
    settings = settings_of(folder, **changes)
    return pretrain([folder / "train"], run, settings, resume=resume, **passed)
