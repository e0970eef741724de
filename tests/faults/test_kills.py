"""Killed at any moment, a training goes on as if nothing had happened: to the bit."""

from __future__ import annotations

import signal
import time

import pytest

from tests.faults.cases import ALONE, CASES
from tests.faults.trainings import Training, assert_same, wait_until

# A kind of each, in the short cut.
SHORT = (
    "encoder in bf16, muon", "decoder", "encoder-decoder of UL2 in bf16",
    "two halves of a model, muon",
)  # fmt: skip


@pytest.fixture
def kills(request) -> int:
    """Of one training: few in the short cut, one round."""
    return 4 if request.config.getoption("--rounds") > 1 else 2


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=() if c.name in SHORT else pytest.mark.long) for c in CASES],
    ids=lambda case: case.name,
)
def test_a_training_that_is_killed_again_and_again_ends_as_an_undisturbed_one(
    server, undisturbed, case, dice, kills, tmp_path
):
    expected, seconds = undisturbed(case)
    training = Training(server, case, tmp_path)
    for _ in range(kills):
        sitting = training.start()
        time.sleep(dice.uniform(0, seconds))
        sitting.signal(signal.SIGKILL)
        # A rank that hears of the other's death first ends by itself.
        assert sitting.wait() <= {-signal.SIGKILL, 0} | ({1} if case.ranks > 1 else set())
        training.assert_whole()
    training.finish()

    assert_same(training, expected)


def test_killed_while_it_writes_a_checkpoint_it_goes_on_from_the_one_before(
    server, undisturbed, dice, kills, tmp_path
):
    case = dice.choice(ALONE)
    expected, _ = undisturbed(case)
    training = Training(server, case, tmp_path)
    hits = 0
    for _ in range(kills):
        sitting = training.start()
        hits += wait_until(training.is_writing, sitting)
        time.sleep(dice.uniform(0, 0.01))
        sitting.signal(signal.SIGKILL)
        sitting.wait()
        training.assert_whole()
    training.finish()

    assert hits
    assert not training.is_writing()
    assert_same(training, expected)
