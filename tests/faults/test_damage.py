"""The newest checkpoint is damaged: the one before is taken, aloud, and the end is the same."""

from __future__ import annotations

import pytest

from lmprep.training import checkpoints
from tests.faults.cases import ALONE
from tests.faults.trainings import Training, assert_same

FILES = ("model.safetensors", "optimizer.safetensors", "state.json")


@pytest.mark.parametrize(
    "harm",
    ["flipped", *(pytest.param(h, marks=pytest.mark.long) for h in ("truncated", "missing"))],
)
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_taken(
    server, undisturbed, dice, tmp_path, harm
):
    case = dice.choice(ALONE)
    expected, _ = undisturbed(case)
    training = Training(server, case, tmp_path)
    training.finish()
    before, newest = checkpoints.steps(training.run)
    path = checkpoints.folder_of(training.run, newest) / dice.choice(FILES)
    content = bytearray(path.read_bytes())
    if harm == "missing":
        path.unlink()
    elif harm == "truncated":
        path.write_bytes(content[: dice.randrange(len(content))])
    else:
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        path.write_bytes(content)
    training.finish()

    assert f"Warning: {path}: " in training.said
    assert "Trying the one before it." in training.said
    assert checkpoints.steps(training.run) == [before, newest]
    training.assert_whole()
    assert_same(training, expected)


def test_when_all_are_damaged_nothing_is_trained_over(server, dice, tmp_path):
    training = Training(server, dice.choice(ALONE), tmp_path)
    training.finish()
    for step in checkpoints.steps(training.run):
        (checkpoints.folder_of(training.run, step) / dice.choice(FILES)).unlink()

    assert training.start().wait() == {1}
    assert "checkpoints: no checkpoint of this run is intact. Start over" in training.said
