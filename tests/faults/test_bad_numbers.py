"""Losses that are no numbers: a few steps are left out, many end the run in time."""

from __future__ import annotations

import re
import signal
import time

import torch

from lmprep.training import checkpoints
from lmprep.training.metrics import read_metrics
from tests.faults.cases import ALONE, STEPS
from tests.faults.trainings import Training, assert_same, assert_same_order


def test_a_step_without_a_loss_is_left_out_and_counted(server, undisturbed, dice, tmp_path):
    case = dice.choice(ALONE)
    expected, seconds = undisturbed(case)
    broken = sorted(dice.sample(range(STEPS), 3))
    spared, killed = (Training(server, case, tmp_path / name) for name in ("spared", "killed"))
    spared.place.mkdir()
    killed.place.mkdir()
    spared.finish(broken=broken)
    sitting = killed.start(broken=broken)
    time.sleep(dice.uniform(0, seconds))
    sitting.signal(signal.SIGKILL)
    sitting.wait()
    killed.finish(broken=broken)

    lines = [line for line in read_metrics(spared.run) if "skipped" in line]
    assert [line["skipped"] for line in lines] == [
        sum(step < line["step"] for step in broken) for line in lines
    ]
    weights = checkpoints.load(spared.run, STEPS).model
    assert all(torch.isfinite(weight).all() for weight in weights.values())
    assert_same_order(spared, expected)  # the batch is not asked for again
    assert_same(killed, spared)


def test_a_step_that_is_left_out_changes_no_weight(server, dice, tmp_path):
    training = Training(server, dice.choice(ALONE), tmp_path)
    flags = ("--checkpoint-every", "1", "--set", "keep_last=100")
    step = dice.randrange(1, STEPS)
    training.finish(*flags, broken=[step])
    before, after = (checkpoints.load(training.run, number) for number in (step, step + 1))

    for kind in ("model", "optimizer"):
        there, here = getattr(before, kind), getattr(after, kind)
        assert there.keys() == here.keys()
        assert all(torch.equal(there[name], here[name]) for name in there)
    assert before.state["position"] < after.state["position"]


def test_too_many_in_a_row_end_the_run_and_name_the_last_good_checkpoint(server, dice, tmp_path):
    case = dice.choice(ALONE)
    first = dice.randrange(3, STEPS - 3)
    training, once = (Training(server, case, tmp_path / name) for name in ("many", "once"))
    training.place.mkdir()
    once.place.mkdir()
    sitting = training.start("--set", "skips=3", broken=list(range(first, STEPS)))
    assert sitting.wait() == {1}, training.said

    good = checkpoints.steps(training.run)[-1]
    (error,) = re.findall(r"^Error: .*", training.said, re.MULTILINE)
    assert f"3 steps in a row, up to step {first + 3}, were skipped" in error
    assert f"the last good checkpoint is {checkpoints.folder_of(training.run, good)}." in error
    assert "Traceback" not in training.said
    training.assert_whole()
    weights = checkpoints.load(training.run, good).model
    assert all(torch.isfinite(weight).all() for weight in weights.values())
    # What was spoilt being mended, it goes on from there.
    training.finish("--set", "skips=3")
    once.finish("--set", "skips=3", broken=list(range(first, good)))
    assert_same(training, once)
