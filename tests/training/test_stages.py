"""Stages of a training: which data when, and resuming in the middle of one."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from tiny_runs import LENGTH, make_folders, settings_of

from lmprep.errors import UsageError
from lmprep.training import checkpoints
from lmprep.training.pretraining import pretrain
from lmprep.training.stages import Stages
from tests.corpora import build_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Datasets `train` of 48 tokens and `short` of 24, of the same corpus."""
    folder = make_folders(tmp_path_factory.mktemp("stages"))
    build_dataset(folder / "corpus.txt", folder / "tok", folder / "short", length=24)
    return folder


SHARES = ("24:3/4", f"{LENGTH}:1/4")


def test_a_stage_has_the_datasets_of_its_length(folder):
    stages = Stages([folder / "train", folder / "short"], settings_of(folder, stages=SHARES))

    assert [stage.name for stage in stages.all] == ["24 tokens", "48 tokens"]
    assert [stage.data.datasets[0].folder.name for stage in stages.all] == ["short", "train"]
    assert [stages.at(progress) for progress in (0, 0.74, 0.75, 1, 1.2)] == [0, 0, 1, 1, 1]
    assert stages.task.length == LENGTH


def test_a_stage_ends_with_the_step_that_completes_its_share(folder):
    shares = ("24:2/3", f"{LENGTH}:1/3")
    stages = Stages([folder / "train", folder / "short"], settings_of(folder, stages=shares))

    assert [stages.at(step / 6) for step in range(7)] == [0, 0, 0, 0, 1, 1, 1]


def test_without_stages_there_is_one_of_all(folder):
    stages = Stages([folder / "train", folder / "short"], settings_of(folder))

    assert [(stage.name, stage.end) for stage in stages.all] == [("", Fraction(1))]
    assert len(stages.datasets) == 2


@pytest.mark.parametrize(
    ("names", "changes", "complaint"),
    [
        (
            ["train"],
            {"stages": SHARES},
            "stage 24 has no dataset: there are sequences of 48 tokens",
        ),
        (["train", "short"], {"stages": ("24:1",)}, "no stage has sequences of 48 tokens"),
        (["train"], {"weights": (Fraction(1, 2),) * 2}, "2 weights for 1 datasets"),
    ],
)
def test_what_does_not_go_together(folder, names, changes, complaint):
    with pytest.raises(UsageError, match=complaint):
        Stages([folder / name for name in names], settings_of(folder, **changes))


def test_each_stage_has_its_share_of_the_steps_and_resumes_in_the_middle(folder, tmp_path):
    settings = settings_of(folder, steps=8, stages=SHARES, checkpoint_every=1, keep_last=8)
    datasets = [folder / "short", folder / "train"]
    pretrain(datasets, tmp_path / "whole", settings)
    states = [checkpoints.load(tmp_path / "whole", step).state for step in range(1, 9)]
    assert [state["stage"] for state in states] == [0, 0, 0, 0, 0, 0, 1, 1]
    # The second stage begins with its own first row.
    assert states[6]["position"] < 2 * 8 <= states[1]["position"] < states[5]["position"]

    for step in (3, 6, 7):
        run = shutil.copytree(tmp_path / "whole", tmp_path / f"from-{step}")
        checkpoints.discard_after(run, step)
        pretrain(datasets, run, settings, resume=True)
        again, whole = (checkpoints.load(each, 8) for each in (run, tmp_path / "whole"))
        assert {k: v for k, v in again.state.items() if k != "seconds"}.keys() == (
            whole.state.keys() - {"seconds"}
        )
        for name, tensor in whole.model.items():
            assert torch.equal(tensor, again.model[name]), (step, name)


def test_weights_decide_a_run(folder, tmp_path):
    datasets, run = [folder / "train", folder / "short"], tmp_path / "run"
    weighted = settings_of(folder, weights=(Fraction(1, 4), Fraction(3, 4)), steps=2)
    pretrain(datasets, run, weighted)

    assert pretrain(datasets, run, weighted, resume=True).already_finished
    with pytest.raises(UsageError, match=r"begun with other settings: pretrain\.weights"):
        pretrain(datasets, run, settings_of(folder, steps=2), resume=True)
