"""Stopped while torch compiles the model for the first step, with everything a terminal stops."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.cases import Case
from tests.faults.test_signals import assert_stopped_well
from tests.faults.trainings import Training, assert_same, wait_until

COMPILED = Case("compiled", "clm", ("--compile", "on"))

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", os.environ.get("CXX", "")))),
    reason="no C++ compiler",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder for what several tests share: the kernels that were compiled."""
    return tmp_path_factory.mktemp("compiling")


@pytest.fixture(scope="module")
def expected(server, place) -> Training:
    """The training that nothing happened to; leaves the kernels compiled."""
    training = Training(server, COMPILED, place)
    training.finish(environment={"TORCHINDUCTOR_CACHE_DIR": str(place / "kernels")})
    return training


@pytest.mark.parametrize("stop", ["terminal", "scheduler"])
def test_stopped_in_the_first_compile_step_it_goes_on_as_if_nothing_had_happened(
    server, place, expected, dice, tmp_path, stop
):
    training = Training(server, COMPILED, tmp_path)
    kernels = tmp_path / "kernels"
    sitting = training.start(environment={"TORCHINDUCTOR_CACHE_DIR": str(kernels)})
    assert wait_until(compiling(kernels), sitting), training.said
    time.sleep(dice.uniform(0, 1))
    if stop == "terminal":  # its Ctrl-C goes to the compilers, too
        sitting.press_ctrl_c()
        assert sitting.wait() == {130}, training.said
    else:
        sitting.signal(signal.SIGTERM)
        assert sitting.wait() == {143}, training.said
    assert_stopped_well(training, training.said)
    assert "everything is saved" in training.said
    # What was compiled by then is as good as anything.
    shutil.copytree(place / "kernels", kernels, dirs_exist_ok=True)
    training.finish(environment={"TORCHINDUCTOR_CACHE_DIR": str(kernels)})

    assert_same(training, expected)


def compiling(kernels: Path) -> Callable[[], bool]:
    return lambda: any(kernels.glob("*/*.cpp"))
