"""Run folders as a training leaves them, made in a moment: a checkpoint of random weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from lmprep import __version__
from lmprep.files import write_json
from lmprep.models.construction import new_model
from lmprep.models.language_model import LanguageModel
from lmprep.models.settings import model_settings
from lmprep.pretrain_settings import PretrainSettings
from lmprep.shards.reader import Dataset
from lmprep.tokenization import folder as tokenizer_folder
from lmprep.training import checkpoints, run_folder
from lmprep.training.checkpoints import Checkpoint
from lmprep.training.fit import traits
from tests.corpora import build_dataset, make_tokenizer, write_corpus

LENGTH = 48
# Of a model: what it learns, with which pairs, from which family of tokenizers.
LEARNT = {
    "bert": ("mlm", "none", "bert"),
    "bert-pairs": ("mlm", "nsp", "bert"),
    "roberta": ("mlm", "none", "roberta"),
    "albert-pairs": ("mlm", "sop", "bert"),
    "albert": ("mlm", "none", "bert"),
    "distilbert": ("mlm", "none", "bert"),
    "electra": ("mlm", "none", "bert"),
    "gpt": ("clm", "none", "gpt2"),
    "gpt2": ("clm", "none", "gpt2"),
    "t5": ("t5", "none", "t5"),
    "t5v1.1": ("t5", "none", "t5"),
    "bart": ("bart", "none", "roberta"),
}


def make_data(folder: Path, objective: str, pairs: str, family: str) -> Path:
    """A corpus, its tokenizer `tok` and a dataset `train`, in `folder`."""
    corpus = write_corpus(folder / "corpus.txt", documents=8)
    tokenizer = make_tokenizer(corpus, folder / "tok", family=family)
    build_dataset(
        corpus, tokenizer, folder / "train", objective=objective, pairs=pairs, length=LENGTH
    )
    return folder / "train"


def make_run(folder: Path, kind: str, **changes: Any) -> Path:
    """A run `folder/run` of a key of `LEARNT`, with the data it was made from beside it.

    Args:
        changes: to the shape of the model.
    """
    objective, pairs, family = LEARNT[kind]
    train = make_data(folder, changes.pop("objective", objective), pairs, family)
    shape = {"layers": 2, "width": 32, "heads": 4, "max_length": 60, **changes}
    return write_run(folder / "run", train, f"{kind.removesuffix('-pairs')}-tiny", **shape)


def write_run(run: Path, train: Path, name: str, step: int = 7, **shape: Any) -> Path:
    """A run folder with one checkpoint, of a named model with another shape."""
    dataset = Dataset(train)
    size = dataset.vocabulary.size
    settings = model_settings(name, vocabulary_size=size, **shape)
    run.mkdir()
    pretrain = PretrainSettings(model=name, steps=step).as_dict()
    recipe = {
        "pretrain": {k: v for k, v in pretrain.items() if v is not None},
        "model": settings.as_dict(),
        "datasets": [{"folder": str(train), "sha256": dataset.manifest["manifest_sha256"]}],
    }
    (run / "recipe.toml").write_text(run_folder.to_toml(recipe), encoding="utf-8")
    config = {
        "lmprep": __version__,
        "model": settings.as_dict(),
        "vocabulary": asdict(dataset.vocabulary),
        **traits(dataset.manifest),
        "length": LENGTH,
    }
    write_json(run / "config.json", config)
    tokenizer_folder.copy(tokenizer_folder.load(train / "tokenizer"), run / "tokenizer")
    save_step(run, lively_model(settings), step)
    lines = [
        {"step": step, "tokens": 4321, "loss": 2.5, "elapsed": 65.0},
        {"step": step, "validation": {"token_loss": 2.25, "token_accuracy": 0.5}},
        {"step": step + 1, "validation": {"token_loss": 1.125, "token_accuracy": 0.75}},
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def lively_model(settings: Any, seed: int = 1) -> LanguageModel:
    """A model whose biases and norms are at work too, so that a wrong wire shows."""
    model = new_model(settings, seed)
    generator = torch.Generator().manual_seed(seed)
    rows = settings.vocabulary_rows
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if len(parameter) == rows:
                noise[settings.vocabulary_size :] = 0  # rows that only fill up stay zero
            parameter += 0.1 * noise
    return model


def save_step(run: Path, model: LanguageModel, step: int) -> None:
    """Write a checkpoint of a model beside those that are there."""
    state = {"step": step, "tokens": 4321, "seconds": 65.0}
    tensors = dict(model.state_dict())
    checkpoint = Checkpoint(model=tensors, optimizer={}, state=state)
    checkpoints.save(run, checkpoint, keep_last=100)
