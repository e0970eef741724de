"""Models and task files that many tests look at and none changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.finetuning.folders import hf_folder
from tests.finetuning.task_files import write
from tests.models.conftest import one_thread

__all__ = ["one_thread"]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a tiny random model by its name in `folders.MODELS`, made when first asked."""
    root = tmp_path_factory.mktemp("models")
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = hf_folder(name, root / name)
        return made[name]

    return folder


@pytest.fixture(scope="session")
def task_file(tmp_path_factory) -> Callable[..., Path]:
    """A file of a task; `seed` makes another one."""
    root = tmp_path_factory.mktemp("tasks")

    def file(task: str, seed: int = 0, examples: int = 48) -> Path:
        return write(task, root / f"{task}-{seed}-{examples}", examples, seed)

    return file


@pytest.fixture
def finetuned(model_folder, task_file, tmp_path, quick_disk):
    """Fine-tune a tiny model on a task, in `tmp_path/out`: its results."""
    from lmprep.finetuning.finetune import finetune
    from lmprep.finetuning.settings import FinetuneSettings

    def run(name: str, task: str, *, examples: int = 48, **settings: object) -> dict[str, object]:
        usual = {"epochs": 1, "batch_size": 8, "lr": 3e-3, "length": 48, "precision": "fp32"}
        return finetune(
            str(model_folder(name)),
            FinetuneSettings(task=task, **{**usual, **settings}),
            tmp_path / "out",
            train=task_file(task, 0, examples),
            dev=task_file(task, 1, 16),
            force=True,
        )

    return run
