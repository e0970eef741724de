"""Processes compile what a command needs before it comes there, once, and leave nothing behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lmprep.cli.warming import _LINE

TWO_CORES = len(os.sched_getaffinity(0)) > 1 if hasattr(os, "sched_getaffinity") else False
pytestmark = pytest.mark.skipif(
    not (sys.platform == "linux" and TWO_CORES), reason="processes start on Linux with two cores"
)

# Counts what is compiled here, and runs a command.
COMMAND = """
import multiprocessing, sys
from numba.core import event

class Count(event.Listener):
    compiled = 0
    def on_start(self, event):
        Count.compiled += 1
    def on_end(self, event):
        pass

event.register("numba:compile", Count())
started = []
begin = multiprocessing.get_context("fork").Process.start
def start(process):
    started.append(process)
    begin(process)
multiprocessing.get_context("fork").Process.start = start
from lmprep.cli import cli
cli.main(sys.argv[1:], standalone_mode=False)
for process in started:
    process.join()
print(Count.compiled, len(started), file=sys.stderr)
"""


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text(f"{_LINE}\n\n" * 20, encoding="utf-8")
    return path


@pytest.fixture
def tokenizer(corpus, tmp_path):
    flags = ["--algorithm", "wordpiece", "--size", "90", "-o", tmp_path / "tokenizer"]
    subprocess.run([sys.executable, "-m", "lmprep", "vocab", corpus, *flags], check=True)
    return tmp_path / "tokenizer"


def run(cache: Path, *arguments: object) -> tuple[str, int, int]:
    """What a command printed, the kernels that it compiled itself, and its processes."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        env={**os.environ, "LMPREP_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    compiled, started = map(int, done.stderr.splitlines()[-1].split())
    return done.stdout, compiled, started


def test_processes_compile_a_part_of_it_and_only_once(corpus, tokenizer, tmp_path):
    cache = tmp_path / "cache"
    ids, here, started = run(cache, "encode", corpus, "-t", tokenizer)
    again, nothing, none = run(cache, "encode", corpus, "-t", tokenizer)
    in_all = list(cache.rglob("*.nbi"))

    assert started == 2
    assert 0 < here < len(in_all)
    assert (nothing, none) == (0, 0)
    assert again == ids != ""


REHEARSE = """
import multiprocessing, os, sys
from lmprep import ahead, jit

def rehearse():
    os.write(log, b"once")
    print("nobody reads this")
    raise ValueError

log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for _ in range(2):
    ahead._start(jit, "kind", rehearse)
    for process in multiprocessing.active_children():
        process.join()
"""


def test_a_rehearsal_that_fails_is_silent_and_not_tried_again(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", REHEARSE, tmp_path / "log"],
        env={**os.environ, "LMPREP_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        check=True,
    )

    assert (done.stdout, done.stderr) == (b"", b"")
    assert (tmp_path / "log").read_bytes() == b"once"


def test_processes_end_with_the_command(corpus, tokenizer, tmp_path):
    fresh = {**os.environ, "LMPREP_CACHE_DIR": str(tmp_path / "cache")}
    encode = [sys.executable, "-m", "lmprep", "encode", "-t", tokenizer, corpus]
    with subprocess.Popen(encode, env=fresh, stderr=subprocess.PIPE) as command:
        assert b"Compiling" in command.stderr.readline()
        children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
        began = [int(child) for child in children.read_text().split()]
        command.kill()

    give_up = time.monotonic() + 30
    while any(_is_alive(process) for process in began) and time.monotonic() < give_up:
        time.sleep(0.1)
    assert len(began) == 2
    assert not [process for process in began if _is_alive(process)]


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False
