"""Processes that train together come to what one comes to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rank_processes import run_ranks
from tiny_runs import LENGTH, make_folders, train

from lmprep.errors import UsageError
from lmprep.training import checkpoints
from lmprep.training.checkpoints import Checkpoint
from lmprep.training.metrics import read_metrics


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("ranks")
    for objective, changes in {
        "mlm": {"pairs": "nsp"},
        "span": {},
        "clm": {"length": 32},
        "t5": {},
        "electra": {},
    }.items():
        (made / objective).mkdir()
        make_folders(made / objective, objective, **changes)
    return {path.name: path for path in made.iterdir()}


def train_here(folder: Path, run: Path, **changes: object) -> str:
    """Train; the name of the folder, as something to send back."""
    return str(train(folder, run, **changes).run)


def newest(run: Path) -> Checkpoint:
    found = checkpoints.load_newest(run)
    assert found is not None
    return found


def assert_close(run: Path, other: Path) -> None:
    """The same weights, optimizer and losses, but for rounding."""
    one, two = newest(run), newest(other)
    for name in ("model", "optimizer"):
        tensors, others = getattr(one, name), getattr(two, name)
        assert tensors.keys() == others.keys()
        for key, tensor in tensors.items():
            assert torch.allclose(tensor, others[key], atol=1e-4), (name, key)
    lines, other_lines = read_metrics(run), read_metrics(other)
    assert [line["tokens"] for line in lines] == [line["tokens"] for line in other_lines]
    for line, other_line in zip(lines, other_lines, strict=True):
        assert line["loss"] == pytest.approx(other_line["loss"], abs=1e-5)


# A wrong row or mask moves weights by a learning rate; Adam makes 1e-5 of pure rounding at most.
STEADY = {"steps": 3, "log_every": 1, "lr": 1e-3, "warmup": 0}


@pytest.mark.parametrize(
    ("objective", "sharding", "changes"),
    [
        ("mlm", "replicate", {"dropout": 0.1, "packed": False}),
        ("mlm", "shard", {"dropout": 0.0}),
        ("span", "replicate", {"dropout": 0.0}),
        ("electra", "replicate", {"dropout": 0.1, "packed": False}),
        ("electra", "shard", {"dropout": 0.0, "micro_tokens": 2 * LENGTH}),
        ("clm", "shard", {"dropout": 0.1, "packed": False, "optimizer": "muon"}),
        ("t5", "replicate", {"dropout": 0.1, "micro_tokens": 2 * LENGTH}),
        ("t5", "shard", {"dropout": 0.0, "micro_tokens": 2 * LENGTH}),
    ],
)
def test_two_ranks_come_to_what_one_comes_to(folders, tmp_path, objective, sharding, changes):
    settings = {**STEADY, **changes, "sharding": sharding}
    train(folders[objective], tmp_path / "one", **settings)
    found = run_ranks(2, _train_together, folders[objective], tmp_path / "two", settings)

    assert found == [str(tmp_path / "two")] * 2
    assert newest(tmp_path / "two").state["ranks"] == 2
    assert_close(tmp_path / "one", tmp_path / "two")


def _train_together(folder: Path, run: Path, settings: dict) -> str:
    return train_here(folder, run, **settings)


@pytest.mark.parametrize("objective", ["mlm", "t5"])
def test_accumulation_does_not_change_a_step(folders, tmp_path, objective):
    for name, micro_tokens in (("whole", None), ("parts", 3 * LENGTH)):
        train(folders[objective], tmp_path / name, **STEADY, micro_tokens=micro_tokens)

    assert_close(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("first", [1, 2])
def test_a_run_goes_on_with_another_number_of_ranks(folders, tmp_path, first):
    settings = {**STEADY, "steps": 4, "checkpoint_every": 2, "dropout": 0.0}
    train(folders["mlm"], tmp_path / "whole", **settings)
    run, resumed = tmp_path / "run", {**settings, "resume": True}
    for count in (first, 3 - first):
        run_ranks(count, _train_together, folders["mlm"], run, resumed)
        if count == first:
            checkpoints.discard_after(run, 2)

    assert newest(run).state["step"] == 4
    assert_close(tmp_path / "whole", run)


def test_an_error_of_the_first_rank_ends_all(folders, tmp_path):
    (tmp_path / "run").mkdir()
    found = run_ranks(2, _train_together, folders["mlm"], tmp_path / "run", dict(STEADY))

    assert [type(error) for error in found] == [UsageError] * 2
    assert "already exists" in str(found[1])


def test_a_step_must_go_round_the_ranks(folders, tmp_path):
    settings = {**STEADY, "batch_tokens": LENGTH}
    found = run_ranks(2, _train_together, folders["mlm"], tmp_path / "run", settings)

    assert all("--batch-tokens of at least 96" in str(error) for error in found)
