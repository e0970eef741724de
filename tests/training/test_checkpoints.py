import json
import logging
import os

import pytest
import torch

from lmprep.errors import CheckpointError
from lmprep.training import checkpoints
from lmprep.training.checkpoints import Checkpoint


def checkpoint_of(step: int) -> Checkpoint:
    return Checkpoint(
        model={"weight": torch.full((3, 2), float(step))},
        optimizer={"weight.exp_avg": torch.arange(6.0) + step},
        state={"step": step, "window": [[0.1, 1 / 3]]},
    )


def names(run) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def test_what_is_saved_comes_back(tmp_path):
    checkpoints.save(tmp_path, checkpoint_of(7))
    loaded = checkpoints.load(tmp_path, 7)

    assert torch.equal(loaded.model["weight"], torch.full((3, 2), 7.0))
    assert torch.equal(loaded.optimizer["weight.exp_avg"], torch.arange(6.0) + 7)
    assert loaded.state["window"] == [[0.1, 1 / 3]]


def test_the_newest_two_are_kept_by_number_and_nothing_else_is_left(tmp_path):
    for step in (8, 9, 10, 100):
        checkpoints.save(tmp_path, checkpoint_of(step))

    assert names(tmp_path) == ["step-10", "step-100"]
    assert checkpoints.load_newest(tmp_path).state["step"] == 100


@pytest.mark.parametrize(
    ("keep_last", "keep_every", "left"),
    [
        (1, None, [24]),
        (3, None, [18, 21, 24]),
        (9, None, [3, 6, 9, 12, 15, 18, 21, 24]),
        (1, 9, [9, 18, 24]),
        (2, 10, [12, 21, 24]),  # no multiple of 10 has a checkpoint: the first after each
        (1, 100, [24]),
    ],
)
def test_the_last_ones_and_one_of_every_so_many_steps_stay(tmp_path, keep_last, keep_every, left):
    for step in range(3, 25, 3):
        checkpoints.save(tmp_path, checkpoint_of(step), keep_last, keep_every)

    assert checkpoints.steps(tmp_path) == left


def test_older_ones_go_only_when_the_new_one_is_on_the_disk(tmp_path, monkeypatch):
    for step in (1, 2):
        checkpoints.save(tmp_path, checkpoint_of(step))
    seen = []
    sync = checkpoints.sync_folder

    def noting(folder):
        sync(folder)
        seen.append((folder.name, checkpoints.steps(tmp_path)))

    monkeypatch.setattr(checkpoints, "sync_folder", noting)
    checkpoints.save(tmp_path, checkpoint_of(3))

    assert seen == [("checkpoints", [1, 2, 3])]
    assert checkpoints.steps(tmp_path) == [2, 3]


def test_everything_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced: set[int] = set()
    fsync, rename = os.fsync, type(tmp_path).rename

    def recording(handle):
        synced.add(os.fstat(handle).st_ino)
        fsync(handle)

    def checking(self, target):
        if target.name == "step-1":
            assert {path.stat().st_ino for path in (self, *self.iterdir())} <= synced
            synced.clear()
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", recording)
    monkeypatch.setattr(type(tmp_path), "rename", checking)
    checkpoints.save(tmp_path, checkpoint_of(1))

    assert synced == {(tmp_path / "checkpoints").stat().st_ino}  # then the name itself


def test_what_is_removed_loses_its_name_first(tmp_path, monkeypatch):
    for step in (1, 2):
        checkpoints.save(tmp_path, checkpoint_of(step))
    removed = []
    monkeypatch.setattr(checkpoints.shutil, "rmtree", lambda path, **_: removed.append(path.name))
    checkpoints.save(tmp_path, checkpoint_of(3))
    checkpoints.discard_after(tmp_path, 2)
    checkpoints.save(tmp_path, checkpoint_of(2))  # in place of another

    olds = [f".step-{step}.old.{os.getpid()}.tmp" for step in (1, 3, 2)]
    assert [name for name in removed if ".old." in name] == olds
    monkeypatch.undo()
    checkpoints.clear_temporaries(tmp_path)
    assert names(tmp_path) == ["step-2"]


def test_one_that_cannot_be_removed_is_no_reason_to_stop(tmp_path, monkeypatch, caplog):
    for step in (1, 2):
        checkpoints.save(tmp_path, checkpoint_of(step))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkpoints.shutil, "rmtree", refuse)
    monkeypatch.setattr(checkpoints, "_write", lambda *_: None)
    with caplog.at_level(logging.WARNING, "lmprep"):
        checkpoints.save(tmp_path, checkpoint_of(2), keep_last=1)
    assert "step-1: cannot be removed (Permission denied)" in caplog.text


def test_no_checkpoint_at_all_is_no_error(tmp_path):
    assert checkpoints.load_newest(tmp_path) is None


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_every_damage_is_noticed_and_the_one_before_is_taken(tmp_path, caplog, name, damage):
    for step in (1, 2):
        checkpoints.save(tmp_path, checkpoint_of(step))
    path = tmp_path / "checkpoints" / "step-2" / name
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        content[-10] ^= 1
        path.write_bytes(content[:-7] if damage == "cut" else content)
    with caplog.at_level(logging.WARNING, "lmprep"):
        loaded = checkpoints.load_newest(tmp_path)

    assert loaded.state["step"] == 1
    assert f"step-2/{name}" in caplog.text
    with pytest.raises(CheckpointError, match=f"step-2/{name}"):
        checkpoints.load(tmp_path, 2)


def test_a_state_that_names_fewer_files_is_refused(tmp_path):
    folder = checkpoints.save(tmp_path, checkpoint_of(1))
    state = json.loads((folder / "state.json").read_bytes())
    del state["files"]["optimizer.safetensors"]
    (folder / "state.json").write_text(json.dumps(state))

    with pytest.raises(CheckpointError, match="checksum does not fit"):
        checkpoints.load(tmp_path, 1)


def refuse_room(*_):
    raise OSError(28, "No space left on device")


def test_a_failed_save_leaves_the_old_ones_and_no_rubbish(tmp_path, monkeypatch):
    for step in (1, 2):
        checkpoints.save(tmp_path, checkpoint_of(step))
    monkeypatch.setattr(checkpoints, "write_tensors", refuse_room)
    with pytest.raises(CheckpointError) as caught:
        checkpoints.save(tmp_path, checkpoint_of(3))

    said = str(caught.value)
    assert "the checkpoint of step 3 could not be written (No space left on device)" in said
    assert "it takes 0.0 MB, and " in said
    assert f"the last good checkpoint is {tmp_path / 'checkpoints' / 'step-2'}. Free some" in said
    assert "--resume" in said
    assert caught.value.exit_code == 1
    assert names(tmp_path) == ["step-1", "step-2"]


def test_a_first_save_that_fails_says_that_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "write_tensors", refuse_room)
    with pytest.raises(CheckpointError, match=r"there is no checkpoint yet\."):
        checkpoints.save(tmp_path, checkpoint_of(3))


def test_what_a_killed_save_left_is_cleared(tmp_path):
    checkpoints.save(tmp_path, checkpoint_of(1))
    (tmp_path / "checkpoints" / ".step-2.99.tmp").mkdir()
    checkpoints.clear_temporaries(tmp_path)

    assert names(tmp_path) == ["step-1"]


def test_a_step_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="step-5: there is no such checkpoint"):
        checkpoints.load(tmp_path, 5)


def damage(folder):
    (folder / "model.safetensors").write_bytes(b"")


def test_the_one_just_saved_stays_beside_damaged_later_ones(tmp_path):
    for step in (30, 40):
        damage(checkpoints.save(tmp_path, checkpoint_of(step)))
    for step in (5, 10, 20):
        checkpoints.save(tmp_path, checkpoint_of(step))

    assert checkpoints.steps(tmp_path) == [10, 20, 30, 40]
    assert checkpoints.load_newest(tmp_path).state["step"] == 20


def test_later_ones_are_discarded(tmp_path):
    for step in (10, 20):
        checkpoints.save(tmp_path, checkpoint_of(step))
    damage(checkpoints.save(tmp_path, checkpoint_of(30)))
    checkpoints.discard_after(tmp_path, 20)

    assert checkpoints.steps(tmp_path) == [20]
    assert names(tmp_path) == ["step-20"]


def test_the_model_alone_does_not_need_the_optimizers_file(tmp_path):
    folder = checkpoints.save(tmp_path, checkpoint_of(7))
    (folder / "optimizer.safetensors").unlink()

    for loaded in (
        checkpoints.load(tmp_path, 7, model_only=True),
        checkpoints.load_newest(tmp_path, model_only=True),
    ):
        assert torch.equal(loaded.model["weight"], torch.full((3, 2), 7.0))
        assert loaded.optimizer == {}


def test_loaded_tensors_do_not_change_with_the_file(tmp_path):
    folder = checkpoints.save(tmp_path, checkpoint_of(7))
    loaded = checkpoints.load(tmp_path, 7)
    for path in folder.glob("*.safetensors"):
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))

    assert torch.equal(loaded.model["weight"], torch.full((3, 2), 7.0))
    assert torch.equal(loaded.optimizer["weight.exp_avg"], torch.arange(6.0) + 7)
