"""A run that is stopped, hurt or moved goes on with what it was begun with."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from tiny_runs import make_folders, settings_of, train

from lmprep.errors import CheckpointError, Terminated, TrainingError, UsageError
from lmprep.evaluation import evaluate
from lmprep.training import checkpoints, pretraining, run_folder, validation
from lmprep.training.metrics import read_metrics
from lmprep.training.preparation import prepare
from lmprep.training.pretraining import pretrain
from lmprep.training.steps import Updater
from lmprep.training.unigram import load_unigrams
from tests.corpora import build_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_folders(tmp_path_factory.mktemp("sittings"))


@pytest.fixture(scope="module")
def done(folder) -> Path:
    """A finished run with validations after steps 3 and 6."""
    train(folder, folder / "done", checkpoint_every=3, validation=folder / "valid")
    return folder / "done"


@pytest.fixture
def run(done, tmp_path) -> Path:
    """A copy of it to do harm to."""
    return shutil.copytree(done, tmp_path / "run")


def terminate_at(monkeypatch, call: int) -> list[int]:
    """Send this process SIGTERM while a validation scores its batch number `call`."""
    calls: list[int] = []
    sums = validation._sums

    def counting(*arguments):
        calls.append(len(calls) + 1)
        if calls[-1] == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return sums(*arguments)

    monkeypatch.setattr(validation, "_sums", counting)
    monkeypatch.setattr(validation, "BATCH_TOKENS", 2 * 48)  # several batches
    return calls


def validations(run: Path) -> list[dict]:
    return [line for line in read_metrics(run) if "validation" in line]


@pytest.mark.parametrize("steps", [3, 6])  # the last validation, and one before
def test_a_signal_stops_a_validation_and_the_next_sitting_makes_it(
    folder, done, tmp_path, monkeypatch, steps
):
    run, flags = tmp_path / "run", {"steps": steps, "checkpoint_every": 3}
    with monkeypatch.context() as patch:
        calls = terminate_at(patch, call=2)
        with pytest.raises(Terminated, match="after step 3; everything is saved"):
            train(folder, run, validation=folder / "valid", **flags)
    assert calls == [1, 2]
    assert checkpoints.steps(run) == [3]
    assert validations(run) == []

    result = train(folder, run, resume=True, **flags)  # the held-out dataset is the run's own
    assert not result.already_finished
    assert [line["step"] for line in validations(run)] == list(range(3, steps + 1, 3))
    if steps == 6:  # as without the signal
        assert validations(run) == validations(done)
    assert result.validation == validations(run)[-1]["validation"]
    assert result.validation_step == steps
    again = train(folder, run, resume=True, **flags)
    assert again.already_finished
    assert (again.validation, again.validation_step) == (result.validation, steps)


def test_a_validation_that_is_no_number_stops_after_the_save(folder, tmp_path, monkeypatch):
    class Spoilt:
        def means(self):
            return {"token_loss": float("nan")}

    monkeypatch.setattr(pretraining, "score", lambda *_, **__: Spoilt())
    with pytest.raises(TrainingError, match=r"the validation's token_loss is nan at step 6"):
        train(folder, tmp_path / "run", validation=folder / "valid")
    assert validations(tmp_path / "run") == []


def test_validations_and_checkpoints_take_no_training_time(folder, tmp_path, monkeypatch):
    def slowly(function):
        def slow(*arguments, **named):
            time.sleep(0.5)
            return function(*arguments, **named)

        return slow

    monkeypatch.setattr(pretraining, "score", slowly(pretraining.score))
    monkeypatch.setattr(checkpoints, "save", slowly(checkpoints.save))
    run = tmp_path / "run"
    result = train(
        folder, run, steps=4, checkpoint_every=1, log_every=1, validation=folder / "valid"
    )
    lines = [line for line in read_metrics(run) if "elapsed" in line]

    assert result.seconds < 2  # 4 seconds were slept
    for before, line in pairwise(lines):
        tokens, seconds = line["tokens"] - before["tokens"], line["elapsed"] - before["elapsed"]
        assert line["tokens_per_second"] == pytest.approx(tokens / seconds)


def test_a_run_without_pairs_goes_on_too(folder, tmp_path):
    out = build_dataset(folder / "corpus.txt", folder / "tok", tmp_path / "out", pairs="none")
    settings = settings_of(folder, checkpoint_every=4)
    pretrain([out], tmp_path / "run", settings)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-6")

    assert pretrain([out], tmp_path / "run", settings, resume=True).step == 6


def test_what_decides_nothing_may_change(folder, run):
    result = train(folder, run, resume=True, log_every=1, checkpoint_every=2, device="auto")

    assert result.already_finished


def test_the_model_file_is_read_once(folder, run, tmp_path):
    (tmp_path / "model.toml").write_text("layers = 1\nwidth = 8\nheads = 1\n", encoding="utf-8")
    recipe = run / "recipe.toml"
    recipe.write_text(
        recipe.read_text("utf-8").replace(str(folder / "model.toml"), "gone.toml"), "utf-8"
    )

    assert train(folder, run, resume=True, model="gone.toml").already_finished
    with pytest.raises(UsageError, match=r"model\.layers is 2 there and 1 here"):
        train(folder, run, resume=True, model=str(tmp_path / "model.toml"))


def test_a_recorded_dataset_is_used_from_any_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    train(folder, tmp_path / "run", validation=Path("valid"))
    monkeypatch.chdir(tmp_path)

    assert run_folder.recorded_validation(tmp_path / "run") == folder / "valid"
    setup = prepare([folder / "train"], settings_of(folder), continued=tmp_path / "run")
    assert setup.validation.folder == folder / "valid"
    other = [folder / "train"], settings_of(folder), folder / "train"
    assert prepare(*other, continued=tmp_path / "run").validation.folder == folder / "train"


def test_two_trainings_of_one_run_exclude_each_other(folder, run):
    with (
        run_folder.locked(run),
        pytest.raises(UsageError, match="run: another training is running here"),
    ):
        train(folder, run, resume=True)
    assert train(folder, run, resume=True).already_finished


def test_another_precision_is_warned_of(folder, tmp_path, monkeypatch, caplog):
    for found in ({"amx_bf16": True}, {}):
        monkeypatch.setattr(torch.cpu, "get_capabilities", found.copy, raising=False)
        with caplog.at_level(logging.WARNING, "lmprep"):
            train(folder, tmp_path / "run", resume=True, steps=2, precision="auto")

    state = checkpoints.load(tmp_path / "run", 2).state
    assert (state["device"], state["precision"]) == ("cpu", "bf16")
    (record,) = caplog.records
    assert "begun in bf16, going on in fp32" in record.getMessage()


def test_damaged_later_checkpoints_go_when_training_goes_on(folder, run):
    (run / "checkpoints" / "step-6" / "model.safetensors").write_bytes(b"")
    train(folder, run, resume=True, steps=6, checkpoint_every=1)

    assert checkpoints.steps(run) == [5, 6]
    checkpoints.load(run, 6)


def test_too_little_memory_is_a_line_with_a_way_out(folder, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Updater, "gradients", full)
    with pytest.raises(TrainingError, match=r"for updates of 384 tokens.*lower --batch-tokens"):
        train(folder, tmp_path / "run")


def test_damaged_token_counts_are_named_and_can_be_made_anew(folder, run):
    path = run / "unigram.npy"
    before = load_unigrams(run)
    for content in (path.read_bytes()[:-9], b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(
            CheckpointError, match=r"unigram\.npy: the token counts are not.*--resume"
        ):
            evaluate(run, folder / "valid")
    path.unlink()
    train(folder, run, resume=True)

    assert load_unigrams(run).tolist() == before.tolist()


def test_evaluating_leaves_the_optimizer_alone(folder, run):
    (run / "checkpoints" / "step-6" / "optimizer.safetensors").write_bytes(b"damaged")

    assert evaluate(run, folder / "valid")["step"] == 6


def test_a_new_run_folder_is_on_the_disk_before_it_has_its_name(folder, tmp_path, monkeypatch):
    synced: set[int] = set()
    fsync, rename = os.fsync, Path.rename

    def recording(handle):
        synced.add(os.fstat(handle).st_ino)
        fsync(handle)

    def checking(self, target):
        if target == tmp_path / "run":
            assert {path.stat().st_ino for path in (self, *self.rglob("*"))} <= synced
            synced.add(-1)
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", recording)
    monkeypatch.setattr(Path, "rename", checking)
    train(folder, tmp_path / "run", steps=1)
    assert -1 in synced
