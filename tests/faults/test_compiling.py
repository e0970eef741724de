"""Stopped while torch compiles the model for the first step, with everything a terminal stops."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.faults.cases import Case
from tests.faults.test_signals import assert_stopped_well
from tests.faults.trainings import Sitting, Training, assert_same, wait_until

COMPILED = Case("compiled", "clm", ("--compile", "on"), model="shallow.toml")
COMPILERS = {"cc1plus", "g++", "c++", "clang++", "clang"}

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", os.environ.get("CXX", "")))),
    reason="no C++ compiler",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder for what the tests share: the compiled kernels."""
    return tmp_path_factory.mktemp("compiling")


@pytest.fixture(scope="module")
def expected(server, place) -> Training:
    """The training that nothing happened to; leaves the kernels behind."""
    training = Training(server, COMPILED, place)
    training.finish(environment=kernels_in(place))
    return training


def kernels_in(place: Path) -> dict[str, str]:
    return {"TORCHINDUCTOR_CACHE_DIR": str(place / "kernels")}


@pytest.mark.parametrize("stop", ["terminal", "scheduler"])
def test_stopped_in_the_first_compile_step_it_goes_on_as_if_nothing_had_happened(
    server, place, expected, dice, tmp_path, stop
):
    training = Training(server, COMPILED, tmp_path)
    # Compiling all of them again would take as long as the whole battery: one is missing.
    shutil.copytree(place / "kernels", tmp_path / "kernels")
    binaries = sorted((tmp_path / "kernels").rglob("*.so"))
    dice.choice(binaries).unlink()
    sitting = training.start(environment=kernels_in(tmp_path))
    assert wait_until(lambda: is_compiling(sitting), sitting), training.said
    if stop == "terminal":  # its Ctrl-C goes to the compilers, too
        sitting.press_ctrl_c()
        assert sitting.wait() == {130}, training.said
    else:
        sitting.signal(signal.SIGTERM)
        assert sitting.wait() == {143}, training.said
    assert_stopped_well(training, training.said)
    assert "everything is saved" in training.said
    training.finish(environment=kernels_in(tmp_path))

    assert_same(training, expected)


def is_compiling(sitting: Sitting) -> bool:
    """Is a compiler at work among what was started from there?"""
    return any(name in COMPILERS for name in map(name_of, members(sitting.processes[0])))


def members(group: int) -> list[Path]:
    """Folders of /proc of the processes in a group."""
    return [path for path in Path("/proc").glob("[0-9]*") if group_of(path) == group]


def group_of(process: Path) -> int:
    try:
        return os.getpgid(int(process.name))
    except ProcessLookupError:
        return 0


def name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
