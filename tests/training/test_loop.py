"""A run is nothing but its steps: each with its batch, its rate, its dropout; all of them timed."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path

import pytest
import torch
from tiny_runs import make_folders, settings_of, train

from lmprep.errors import Interrupted, TrainingError
from lmprep.keyed_random import key_for
from lmprep.models.construction import new_model
from lmprep.pretrain_settings import PretrainSettings
from lmprep.training import checkpoints
from lmprep.training.guard import Guard
from lmprep.training.metrics import read_metrics
from lmprep.training.preparation import prepare
from lmprep.training.steps import LOSSES, Updater, targets


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_folders(tmp_path_factory.mktemp("loop"))


def slow_run(folder: Path, settings: PretrainSettings, dtype: torch.dtype) -> list[list[float]]:
    """The twin of a run of `settings.steps` steps with a linear schedule: the losses of each."""
    setup = prepare([folder / "train"], settings)
    model = new_model(setup.model, int(key_for(settings.seed, "weights")))
    updater, data = Updater(model, settings, dtype), setup.stages.all[0].data
    losses, position = [], 0
    for step in range(settings.steps):
        done = (step + 0.5) / settings.steps
        rate = settings.lr * min(done / 0.1, (1 - done) / 0.9)
        found = data.step(position)
        values, _ = updater.update(found.batches, targets(found.batches), step, rate)
        losses.append([values[name] for name in LOSSES])
        position = found.next
    return losses


@pytest.mark.parametrize("change", [{}, {"seed": 5}, {"precision": "bf16"}, {"dropout": 0.4}])
def test_a_run_is_its_steps(folder, tmp_path, change):
    settings = settings_of(folder, log_every=1, **change)
    train(folder, tmp_path / "run", log_every=1, **change)
    lines = [[line.get(name, 0.0) for name in LOSSES] for line in read_metrics(tmp_path / "run")]
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32

    assert len(lines) == 6
    torch.testing.assert_close(lines, slow_run(folder, settings, dtype), rtol=1e-5, atol=0)


def test_the_seed_decides_the_initial_weights(folder, tmp_path):
    weights = {}
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        train(folder, tmp_path / name, steps=1, lr=1e-12, weight_decay=0.0, seed=seed)
        weights[name] = checkpoints.load(tmp_path / name, 1).model

    for name, tensor in weights["one"].items():
        assert torch.equal(tensor, weights["same"][name])
        if tensor.ndim == 2:
            assert (tensor - weights["other"][name]).abs().max() > 0.01


def test_a_rate_belongs_to_the_middle_of_its_step(folder, tmp_path):
    train(folder, tmp_path / "steps", steps=6, lr=1e-3, log_every=1)
    rates = [line["lr"] for line in read_metrics(tmp_path / "steps")]
    train(folder, tmp_path / "tokens", tokens=1500, lr=1e-3, log_every=1, warmup=1)
    first, second = read_metrics(tmp_path / "tokens")[:2]

    # A warmup of a tenth of 6 steps: the first step's middle is within it, all others beyond.
    assert rates[0] == pytest.approx(1e-3 * (0.5 / 6) / 0.1)
    assert rates[1:] == pytest.approx(
        [1e-3 * (1 - step / 6) / 0.9 for step in (1.5, 2.5, 3.5, 4.5, 5.5)]
    )
    assert first["lr"] == pytest.approx(1e-3 * first["tokens"] / 2 / 1500)
    assert second["lr"] == pytest.approx(1e-3 * (first["tokens"] + second["tokens"]) / 2 / 1500)


def test_steps_with_an_infinite_gradient_are_skipped_though_their_loss_is_finite(folder, tmp_path):
    # Squares of gradients of 1e37 are beyond float32; the loss, about 5e37, is not.
    with pytest.raises(TrainingError, match=r"3 steps in a row, up to step 3, were skipped.*inf"):
        train(folder, tmp_path / "run", token_weight=1e37, log_every=1, skips=3)

    assert checkpoints.steps(tmp_path / "run") == []
    lines = read_metrics(tmp_path / "run")
    assert [line["skipped"] for line in lines] == [1, 2]
    assert not any("loss" in line for line in lines)


def test_a_skipped_step_leaves_the_weights_and_the_next_one_goes_on(folder, tmp_path, monkeypatch):
    run, admits = tmp_path / "run", Guard.admits
    calls = []

    def spoilt(guard, loss, norm):
        calls.append(loss)
        return admits(guard, math.nan if len(calls) == 3 else loss, norm)

    monkeypatch.setattr(Guard, "admits", spoilt)
    train(folder, run, steps=4, log_every=1, checkpoint_every=1, keep_last=9)
    before, after, end = (checkpoints.load(run, step) for step in (2, 3, 4))

    assert all(torch.equal(t, after.model[name]) for name, t in before.model.items())
    assert all(torch.equal(t, after.optimizer[name]) for name, t in before.optimizer.items())
    assert not all(torch.equal(t, end.model[name]) for name, t in after.model.items())
    assert after.state["position"] > before.state["position"]  # its rows are passed over
    lines = read_metrics(run)
    assert [line["skipped"] for line in lines] == [0, 0, 1, 1]
    assert ["loss" in line for line in lines] == [True, True, False, True]


def stop_at(step: int):
    """Ctrl-C once the training reports this step."""

    def on_progress(progress) -> None:
        if progress.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return on_progress


def test_a_time_budget_counts_all_earlier_sittings(folder, tmp_path):
    run = tmp_path / "run"
    seconds = {}
    for step in (2, 4):
        with pytest.raises(Interrupted):
            train(folder, run, time=3600.0, log_every=1, resume=True, on_progress=stop_at(step))
        checkpoint = checkpoints.load(run, step)
        seconds[step] = checkpoint.state["seconds"]
        checkpoint.state["seconds"] += 1000
        checkpoints.save(run, checkpoint)
    with pytest.raises(Interrupted):
        train(folder, run, time=3600.0, log_every=1, resume=True, on_progress=stop_at(6))

    assert 0 < seconds[2] < 100
    assert 1000 < seconds[4] < 1100
    assert 2000 < checkpoints.load(run, 6).state["seconds"] < 2100
    elapsed = [line["elapsed"] for line in read_metrics(run)]
    assert [int(value // 1000) for value in elapsed] == [0, 0, 1, 1, 2, 2]
