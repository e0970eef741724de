"""A training may go on with another number of processes: the same batches, nearly the same sums."""

from __future__ import annotations

import signal
import time

import pytest
import torch

from lmprep.training import checkpoints
from lmprep.training.metrics import read_metrics
from tests.faults.cases import CHECKPOINT_EVERY, STEPS, Case
from tests.faults.trainings import Training, assert_same_order, wait_until

MOVING = (
    Case("whole", "mlm"),
    Case("whole, of T5", "t5"),
    Case("sharded", "clm", ("--sharding", "shard")),
)


@pytest.mark.parametrize("case", MOVING, ids=lambda case: case.name)
@pytest.mark.parametrize("ranks", [(1, 2), (2, 1)], ids=["one to two", "two to one"])
def test_begun_on_so_many_ranks_it_goes_on_with_others(
    server, undisturbed, dice, tmp_path, case, ranks
):
    expected, seconds = undisturbed(case)
    training = Training(server, case, tmp_path)
    sitting = training.start(ranks=ranks[0])
    first = checkpoints.folder_of(training.run, CHECKPOINT_EVERY)
    assert wait_until(first.exists, sitting), training.said
    time.sleep(dice.uniform(0, seconds / 4))
    sitting.signal(signal.SIGKILL)
    sitting.wait()
    training.finish(ranks=ranks[1])

    assert_same_order(training, expected)
    assert_close(training, expected)


def assert_close(found: Training, expected: Training) -> None:
    """Weights and losses differ by rounding only."""
    lines = [read_metrics(training.run) for training in (found, expected)]
    for mine, other in zip(*lines, strict=True):
        assert (mine["step"], mine.get("tokens")) == (other["step"], other.get("tokens"))
        if "loss" in other:
            assert mine["loss"] == pytest.approx(other["loss"], rel=2e-6)
    here, there = (checkpoints.load(training.run, STEPS) for training in (found, expected))
    for name, weight in there.model.items():
        torch.testing.assert_close(here.model[name], weight, rtol=1e-3, atol=1e-4)
