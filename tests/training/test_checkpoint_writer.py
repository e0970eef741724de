"""Checkpoints are written beside the training, and nobody notices but by waiting."""

from __future__ import annotations

import logging
import threading

import pytest
import torch

from lmprep.errors import CheckpointError
from lmprep.training import checkpoints
from lmprep.training.checkpoint_writer import CheckpointWriter
from lmprep.training.checkpoints import Checkpoint


def checkpoint_of(step: int) -> Checkpoint:
    return Checkpoint(
        model={"weight": torch.full((3, 2), float(step), requires_grad=True)},
        optimizer={"weight.exp_avg": torch.arange(6.0) + step},
        state={"step": step, "window": [[0.5]]},
    )


class Disk:
    """A disk on which writing takes until `let_go`, and fails if told so."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.begun, self._gate = threading.Event(), threading.Event()
        self.full = False
        self._write = checkpoints.write_tensors
        patch.setattr(checkpoints, "write_tensors", self._slowly)

    def let_go(self) -> None:
        self._gate.set()

    def _slowly(self, path, tensors):
        self.begun.set()
        assert self._gate.wait(30)
        if self.full:
            raise OSError(28, "No space left on device")
        return self._write(path, tensors)


@pytest.fixture
def disk(monkeypatch):
    disk = Disk(monkeypatch)
    yield disk
    disk.let_go()


def test_the_training_goes_on_while_a_checkpoint_is_written(tmp_path, disk):
    writer = CheckpointWriter(tmp_path)
    writer.save(checkpoint_of(1))
    assert disk.begun.wait(30)
    assert checkpoints.steps(tmp_path) == []  # and we are here

    disk.let_go()
    writer.wait()
    assert checkpoints.steps(tmp_path) == [1]


def test_what_is_written_is_what_was_there_when_it_was_saved(tmp_path, disk):
    writer = CheckpointWriter(tmp_path)
    saved = checkpoint_of(1)
    writer.save(saved)
    assert disk.begun.wait(30)
    with torch.no_grad():
        saved.model["weight"].fill_(-1)
    saved.optimizer["weight.exp_avg"].fill_(-1)
    saved.state["window"][0][0] = -1
    disk.let_go()
    writer.wait()
    loaded = checkpoints.load(tmp_path, 1)

    assert torch.equal(loaded.model["weight"], torch.ones(3, 2))
    assert torch.equal(loaded.optimizer["weight.exp_avg"], torch.arange(6.0) + 1)
    assert loaded.state["window"] == [[0.5]]


def test_each_of_several_has_its_own_numbers(tmp_path):
    writer = CheckpointWriter(tmp_path, keep_last=9)
    for step in (1, 2, 3):
        writer.save(checkpoint_of(step))
    wider = checkpoint_of(4)
    wider.model["weight"] = torch.arange(8, dtype=torch.bfloat16)  # not what is in the memory
    writer.save(wider)
    writer.wait()

    for step in (1, 2, 3):
        assert torch.equal(
            checkpoints.load(tmp_path, step).model["weight"], torch.full((3, 2), float(step))
        )
    assert torch.equal(checkpoints.load(tmp_path, 4).model["weight"], wider.model["weight"])


def test_the_one_before_is_on_the_disk_before_the_next_is_copied(tmp_path, disk):
    writer = CheckpointWriter(tmp_path)
    writer.save(checkpoint_of(1))
    assert disk.begun.wait(30)
    seen: list[list[int]] = []
    copy = writer._copy

    def noting(checkpoint):
        seen.append(checkpoints.steps(tmp_path))
        return copy(checkpoint)

    writer._copy = noting
    threading.Timer(0.05, disk.let_go).start()
    writer.save(checkpoint_of(2))
    writer.wait()

    assert seen == [[1]]


def test_the_numbers_to_keep_are_heeded(tmp_path):
    writer = CheckpointWriter(tmp_path, 1, 4)
    for step in (2, 4, 6, 8, 10):
        writer.save(checkpoint_of(step))
    writer.wait()

    assert checkpoints.steps(tmp_path) == [4, 8, 10]


@pytest.mark.parametrize("meet", ["wait", "check", "save"])
def test_a_full_disk_is_said_once_and_the_last_good_one_named(tmp_path, disk, meet):
    checkpoints.folder_of(tmp_path, 1).mkdir(parents=True)
    disk.full = True
    disk.let_go()
    writer = CheckpointWriter(tmp_path)
    writer.save(checkpoint_of(2))
    if meet == "check":
        writer._thread.join()
    arguments = [checkpoint_of(3)] if meet == "save" else []
    with pytest.raises(CheckpointError, match=r"No space left.*the last good .*step-1\. Free"):
        getattr(writer, meet)(*arguments)

    writer.wait()
    assert checkpoints.steps(tmp_path) == [1]


def test_looking_for_failures_does_not_wait(tmp_path, disk):
    writer = CheckpointWriter(tmp_path)
    writer.save(checkpoint_of(1))
    writer.check()
    assert checkpoints.steps(tmp_path) == []


def test_any_other_mishap_comes_up_too(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "save", lambda *_: 1 / 0)
    writer = CheckpointWriter(tmp_path)
    writer.save(checkpoint_of(1))
    with pytest.raises(ZeroDivisionError):
        writer.wait()


def test_the_end_and_an_error_wait_for_what_is_being_written(tmp_path):
    with CheckpointWriter(tmp_path) as writer:
        writer.save(checkpoint_of(1))
    assert checkpoints.steps(tmp_path) == [1]

    def fail():
        with CheckpointWriter(tmp_path) as writer:
            writer.save(checkpoint_of(2))
            raise ValueError("of another kind")

    with pytest.raises(ValueError, match="of another kind"):
        fail()
    assert checkpoints.steps(tmp_path) == [1, 2]


def test_an_error_on_its_way_is_not_hidden_by_a_full_disk(tmp_path, disk, caplog):
    disk.full = True
    disk.let_go()

    def fail():
        with CheckpointWriter(tmp_path) as writer:
            writer.save(checkpoint_of(2))
            raise ValueError("of another kind")

    with (
        caplog.at_level(logging.WARNING, "lmprep"),
        pytest.raises(ValueError, match="of another kind"),
    ):
        fail()
    assert "No space left on device" in caplog.text


def test_a_second_signal_does_not_wait(tmp_path, disk):
    def stop():
        with CheckpointWriter(tmp_path) as writer:
            writer.save(checkpoint_of(1))
            assert disk.begun.wait(30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert checkpoints.steps(tmp_path) == []
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "checkpoint"]
    assert thread.daemon  # the process does not wait for it either
    disk.let_go()
    thread.join()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_what_is_on_a_gpu_is_copied_before_it_changes(tmp_path):
    weight = torch.zeros(4096, 4096, device="cuda")
    for _ in range(50):
        weight += 1  # still at work when we ask for the copy
    writer = CheckpointWriter(tmp_path)
    state = {"step": 1}
    writer.save(Checkpoint(model={"weight": weight}, optimizer={}, state=state))
    weight.fill_(-1)
    writer.wait()

    assert torch.equal(
        checkpoints.load(tmp_path, 1).model["weight"], torch.full((4096, 4096), 50.0)
    )
