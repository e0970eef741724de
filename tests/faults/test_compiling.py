"""Stopped while torch compiles the model for the first step, with everything a terminal stops."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.faults.cases import Case
from tests.faults.test_signals import CODES, assert_stopped_well
from tests.faults.trainings import Sitting, Training, assert_same, wait_until

EAGER = Case("eager", "clm", model="shallow.toml")
COMPILED = Case("compiled", "clm", ("--compile", "on"), model="shallow.toml")
COMPILER = shutil.which(os.environ.get("CXX", "g++"))
# Says that it is at work, and comes to nothing: with the Ctrl-C, or when told so, should one of
# torch's workers shield it. That no vector instruction works with it saves the time to try them.
SLOW_COMPILER = f"""#!/bin/sh
case "$*" in
  *.main.cpp*|*.pch*)
    : > "$KERNELS/at-work"
    while [ ! -e "$KERNELS/give-up" ]; do sleep 0.1; done
    exit 1;;
  *.cpp*) exit 1;;
esac
exec {COMPILER} "$@"
"""

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")


def kernels_in(place: Path) -> dict[str, str]:
    return {"TORCHINDUCTOR_CACHE_DIR": str(place / "kernels"), "KERNELS": str(place / "kernels")}


@pytest.mark.long
def test_a_terminals_ctrl_c_that_kills_the_compiler_is_a_stop_like_any_other(
    server, undisturbed, tmp_path
):
    expected, _ = undisturbed(EAGER)
    training = Training(server, EAGER, tmp_path)
    slow = tmp_path / "bin" / Path(str(COMPILER)).name
    slow.parent.mkdir()
    slow.write_text(SLOW_COMPILER)
    slow.chmod(0o755)
    first = {"PATH": f"{slow.parent}:{os.environ['PATH']}"}
    sitting = training.start("--compile", "on", environment=kernels_in(tmp_path) | first)
    assert wait_until((tmp_path / "kernels" / "at-work").exists, sitting), training.said
    sitting.press_ctrl_c()
    (tmp_path / "kernels" / "give-up").touch()

    assert sitting.wait() == {130}, training.said
    assert_stopped_well(training, training.said)
    assert "Interrupted after step 0; everything is saved" in training.said
    training.finish("--compile", "off")
    assert_same(training, expected)


@pytest.fixture(scope="module")
def compiled(request, server, tmp_path_factory) -> Training:
    """The compiled training that nothing happened to; its kernels stay beside it."""
    if request.config.getoption("--rounds") < 3:
        pytest.skip("compiling takes long: ask for three rounds or more")
    training = Training(server, COMPILED, tmp_path_factory.mktemp("compiled"))
    training.finish(environment=kernels_in(training.place))
    return training


@pytest.mark.parametrize("stop", [*CODES, "terminal"], ids=str)
def test_stopped_in_the_first_compile_step_it_goes_on_as_if_nothing_had_happened(
    server, compiled, dice, tmp_path, stop
):
    training = Training(server, COMPILED, tmp_path)
    # Compiling all of them again would take long: one is missing.
    shutil.copytree(compiled.place / "kernels", tmp_path / "kernels")
    dice.choice(sorted((tmp_path / "kernels").rglob("*.main.so"))).unlink()
    sitting = training.start(environment=kernels_in(tmp_path))
    assert wait_until(lambda: is_compiling(sitting), sitting), training.said
    if stop == "terminal":
        sitting.press_ctrl_c()
    else:
        sitting.signal(stop)

    assert sitting.wait() == {CODES.get(stop, 130)}, training.said
    assert_stopped_well(training, training.said)
    assert "everything is saved" in training.said
    training.finish(environment=kernels_in(tmp_path))
    assert_same(training, compiled)


def is_compiling(sitting: Sitting) -> bool:
    """Is a compiler at work among what was started from there?"""
    group = sitting.processes[0]
    members = [path for path in Path("/proc").glob("[0-9]*") if group_of(path) == group]
    return any(name_of(path) in {"cc1plus", "clang++", "clang"} for path in members)


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
