import json
import logging

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


def test_what_is_saved_comes_back(tmp_path):
    checkpoints.save(tmp_path, checkpoint_of(7))
    loaded = checkpoints.load(tmp_path, 7)

    assert torch.equal(loaded.model["weight"], torch.full((3, 2), 7.0))
    assert torch.equal(loaded.optimizer["weight.exp_avg"], torch.arange(6.0) + 7)
    assert loaded.state["window"] == [[0.1, 1 / 3]]


def test_the_newest_two_are_kept_by_number_and_nothing_else_is_left(tmp_path):
    for step in (8, 9, 10, 100):
        checkpoints.save(tmp_path, checkpoint_of(step))

    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-10", "step-100"]
    assert checkpoints.load_newest(tmp_path).state["step"] == 100


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


def test_a_failed_save_leaves_the_old_ones_and_no_rubbish(tmp_path, monkeypatch):
    checkpoints.save(tmp_path, checkpoint_of(1))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(tmp_path, checkpoint_of(2))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-1"]


def test_what_a_killed_save_left_is_cleared(tmp_path):
    checkpoints.save(tmp_path, checkpoint_of(1))
    (tmp_path / "checkpoints" / ".step-2.99.tmp").mkdir()
    checkpoints.clear_temporaries(tmp_path)

    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-1"]


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
