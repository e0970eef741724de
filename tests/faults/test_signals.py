"""Asked to stop at any moment, a training saves, says so, and leaves with the right code."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import pytest

from lmprep.training import checkpoints
from tests.faults.cases import ALONE, CASES
from tests.faults.trainings import Training, assert_same, wait_until

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
BOTH = (signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long))
STOPS = 4


def assert_stopped_well(training: Training, said: str) -> None:
    """What was said last, and what lies there, is what a user can go on from."""
    training.assert_whole()
    assert "Traceback" not in said, said
    assert re.search(r"^(Interrupted|Terminated)", said, re.MULTILINE), said
    assert "--resume" in said
    if found := re.search(r"after step (\d+); everything is saved", said):
        assert checkpoints.steps(training.run)[-1] == int(found[1])


@pytest.mark.parametrize("number", BOTH, ids=lambda number: number.name)
def test_stopped_at_any_moment_a_training_goes_on_as_if_nothing_had_happened(
    server, undisturbed, dice, tmp_path, number
):
    case = dice.choice(CASES)
    expected, seconds = undisturbed(case)
    training = Training(server, case, tmp_path)
    for _ in range(STOPS):
        before = len(training.said)
        sitting = training.start()
        if case.ranks > 1:  # one that waits for the other hears no signal
            wait_until(lambda: (training.run / "metrics.jsonl").exists(), sitting)
        time.sleep(dice.uniform(0.02, seconds))
        sitting.signal(number)
        codes, said = sitting.wait(), training.said[before:]
        assert codes in ({CODES[number]}, {0}) or is_over(said), said
        if codes == {CODES[number]} and not is_over(said):
            assert_stopped_well(training, said)
    training.finish()

    assert_same(training, expected)


def is_over(said: str) -> bool:
    """Has it said its result, and is about to leave?"""
    return re.search(r"run: \d+ steps, |already complete", said) is not None


@pytest.mark.parametrize("number", BOTH, ids=lambda number: number.name)
def test_stopped_while_it_writes_a_checkpoint_it_waits_for_it(
    server, undisturbed, dice, tmp_path, number
):
    case = dice.choice(ALONE)
    expected, _ = undisturbed(case)
    training = Training(server, case, tmp_path)
    sitting = training.start(slow=0.2)
    assert wait_until(training.is_writing, sitting)
    sitting.signal(number)

    assert sitting.wait() == {CODES[number]}, training.said
    assert not training.is_writing()
    assert_stopped_well(training, training.said)
    training.finish()
    assert_same(training, expected)


def test_a_second_ctrl_c_ends_it_at_once_and_leaves_nothing_half_written_under_its_name(
    server, undisturbed, dice, tmp_path
):
    case = dice.choice(ALONE)
    expected, _ = undisturbed(case)
    training = Training(server, case, tmp_path)
    sitting = training.start(slow=20.0)
    assert wait_until(training.is_writing, sitting)
    sitting.signal(signal.SIGINT)
    time.sleep(dice.uniform(0.1, 0.4))
    assert sitting.runs()  # waits for the disk
    pressed = time.monotonic()
    sitting.signal(signal.SIGINT)

    assert sitting.wait() == {130}
    assert time.monotonic() - pressed < 3
    assert training.said.endswith("--resume to go on from the last checkpoint.\n")
    assert checkpoints.steps(training.run) == []
    training.finish()
    assert_same(training, expected)


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_start_is_stopped_cleanly_too(server, dice, tmp_path, number):
    """Of a process of its own: Python's start and the imports of torch included."""
    training = Training(server, dice.choice(ALONE), tmp_path)
    command = training.case.command(server.folder, training.run)
    process = subprocess.Popen(
        [sys.executable, "-m", "lmprep", *command, "--steps", "1000000"],
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background of a shell, as tests may be, is started with SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(dice.uniform(0.4, 4.0))
    process.send_signal(number)
    _, said = process.communicate(timeout=60)

    # Stopped within an `exec` of text, Python leaves by way of SIGINT: 130 to a shell all the same.
    shell_code = 128 - process.returncode if process.returncode == -signal.SIGINT else None
    assert CODES[number] in (process.returncode, shell_code), said
    if (training.run / "checkpoints").exists():
        assert_stopped_well(training, said)
    else:
        assert "Traceback" not in said, said
        assert "Run the same command with --resume" in said, said
