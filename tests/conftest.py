"""Shared fixtures. Kernels are compiled into a cache folder of the test run, not the user's."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Before the first import of lmprep: numba reads its cache folder on import.
if "LMPREP_CACHE_DIR" not in os.environ:
    _cache = tempfile.TemporaryDirectory(prefix="lmprep-tests-")
    os.environ["LMPREP_CACHE_DIR"] = _cache.name
# As the command line does: on a busy machine threads that wait awake triple the time of a step.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# No deadline: the first call of a kernel compiles it. The same examples in every run, and fewer of
# them in the short one.
settings.register_profile("long", deadline=None, derandomize=True)
settings.register_profile("short", settings.get_profile("long"), max_examples=40)

SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/faults --rounds 20`."""
    parser.addoption(
        "--rounds", type=int, default=1, help="of each attack of tests/faults (default 1)"
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("short" if config.getoption("--rounds") == 1 else "long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--rounds") == 1:
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes long: with --rounds 2"))


@pytest.fixture(autouse=True)
def loudness() -> Iterator[None]:
    """What commands leave behind for their workers (-q, -v, --log-format) ends with a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMPREP_VERBOSITY", "0")
        patch.setenv("LMPREP_LOG_FORMAT", "text")
        yield
    logging.getLogger("lmprep").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def shared() -> Path:
    """A folder of real corpora, where there is one."""
    if not SHARED.exists():
        pytest.skip("the folder of real corpora is not here")
    return SHARED


@pytest.fixture(scope="module")
def quick_disk() -> Iterator[None]:
    """Do not wait for the disk: for tests that write hundreds of files in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture
def lmprep(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as a user does: a process of its own, in `tmp_path`."""

    def run(*arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "lmprep", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            timeout=300,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return run
