"""Builds that are killed, run out of room or of handles, and end as an undisturbed one.

`pytest tests/faults/test_builds.py --rounds 120 --junitxml kills.xml` for the whole battery: the
file tells how many kills at random moments landed in each round.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lmprep.shards.manifest import MANIFEST, RECEIPTS
from tests.corpora import make_tokenizer, tree, write_corpus
from tests.faults.killed_builds import POINTS

ROOT = Path(__file__).parents[2]
OBJECTIVES = {
    "mlm": ("bert", ["--pairs", "nsp", "--valid", "20%", "--copies", "2"]),
    "t5": ("t5", ["--valid", "20%"]),
    "skipgram": ("bert", ["--subsample", "0.01"]),
    "cooccurrence": ("bert", []),
}


@dataclass(frozen=True)
class Build:
    """An undisturbed build, and how to make others like it.

    Args:
        command: without the output folder.
        whole: names and bytes of all files it leaves.
        seconds: how long it works, from its plan to its end.
    """

    command: list[str]
    whole: dict[str, bytes]
    seconds: float

    def into(self, folder: Path, *more: str) -> list[str]:
        folder.mkdir(exist_ok=True)
        return [*self.command, "-o", str(folder / "out"), *more]


@pytest.fixture(scope="module")
def builds(tmp_path_factory) -> Callable[[str], Build]:
    """The undisturbed build of an objective; its kernels are compiled by then."""
    folder = tmp_path_factory.mktemp("builds")
    corpus = write_corpus(folder / "corpus.txt", documents=90)
    made: dict[str, Build] = {}

    def of(objective: str) -> Build:
        if objective not in made:
            family, options = OBJECTIVES[objective]
            tok = folder / family
            if not tok.exists():
                make_tokenizer(corpus, tok, family=family)
            command = [
                sys.executable, "-m", "lmprep", "build", objective, str(corpus), "-t", str(tok),
                "--length", "48", "--partition-size", "1kB", "--workers", "2", *options,
            ]  # fmt: skip
            for name in ("first", "whole"):
                place = folder / objective / name
                place.parent.mkdir(exist_ok=True)
                build = Build(command, {}, 0.0)
                running = subprocess.Popen(build.into(place), stderr=subprocess.DEVNULL)
                began = wait_for(place / "out" / "plan.json", running)
                assert running.wait() == 0
                seconds = time.monotonic() - began
            made[objective] = Build(command, tree(folder / objective / "whole"), seconds)
            shards = sum(name.endswith(".arrow") for name in made[objective].whole)
            assert shards >= 15 or objective == "cooccurrence"
        return made[objective]

    return of


def wait_for(path: Path, running: subprocess.Popen[bytes]) -> float:
    """Wait until a file is there or the process has ended; returns when that was."""
    while not path.exists() and running.poll() is None:
        time.sleep(0.001)
    return time.monotonic()


def round_to_pages(size: float) -> int:
    return int(size) // 4096 * 4096


def workers_of(process: int) -> list[int]:
    """The children of a process that run our code."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = entry.read_text().rpartition(")")[2].split()
            line = (entry.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(words[1]) == process and b"spawn_main" in line:
            found.append(int(entry.parent.name))
    return found


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_build_killed_at_a_commit_point_ends_as_an_undisturbed_one(request, tmp_path):
    corpus = write_corpus(tmp_path / "corpus.txt", documents=40)
    tok = make_tokenizer(corpus, tmp_path / "tok")
    rounds = request.config.getoption("--rounds")
    command = ["build", "mlm", str(corpus), "-t", str(tok), "--length", "48", "--workers", "1"]
    command += ["--partition-size", "1kB", *OBJECTIVES["mlm"][1]]
    (tmp_path / "builds").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.killed_builds"],
        input=json.dumps(
            {"command": command, "copies": 2, "folder": str(tmp_path / "builds"), "rounds": rounds}
        ),
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)

    assert report["different"] == []
    assert report["kills"] == dict.fromkeys(POINTS, rounds)
    assert report["shards"]["out"] >= 10


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
def test_a_build_that_is_killed_again_and_again_ends_as_an_undisturbed_one(
    builds, tmp_path, round, record_property
):
    dice, kills = random.Random(round), 0
    build = builds(list(OBJECTIVES)[round % len(OBJECTIVES)])
    out = tmp_path / "killed" / "out"
    for _ in range(dice.randint(1, 3)):
        running = subprocess.Popen(
            build.into(out.parent, "--resume"), stderr=subprocess.PIPE, text=True
        )
        wait_for(out / "plan.json", running)
        time.sleep(dice.uniform(0, build.seconds))
        workers = workers_of(running.pid)
        victim = dice.choice([running.pid, *workers])
        if running.poll() is None:
            os.kill(victim, signal.SIGKILL)
        _, errors = running.communicate()
        kills += running.returncode != 0
        assert running.returncode in (0, 1, -signal.SIGKILL), errors
        if running.returncode == 1:
            assert "a worker process was killed" in errors
            assert "--resume" in errors
        if not (out / MANIFEST).exists():
            for receipt in (out / RECEIPTS).glob("[0-9]*.json"):
                listed = json.loads(receipt.read_bytes())["train"]["shards"]
                assert all(
                    (out / shard["file"]).stat().st_size == shard["bytes"] for shard in listed
                )
    subprocess.run(build.into(out.parent, "--resume"), check=True, capture_output=True)
    record_property("kills", kills)

    assert tree(out.parent) == build.whole


def test_wherever_the_disk_gets_full_the_build_says_so_and_goes_on(builds, tmp_path, round):
    probe = [sys.executable, "-m", "tests.faults.small_disk", str(tmp_path)]
    if subprocess.run(probe, cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip("no file system of our own here")
    build = builds(list(OBJECTIVES)[round % len(OBJECTIVES)])
    disk, left = tmp_path / "disk", tmp_path / "left"
    needed = sum((len(data) + 4095) // 4096 * 4096 for data in build.whole.values())
    size = round_to_pages(random.Random(round).uniform(0.3, 0.9) * needed)
    wrapper = [sys.executable, "-m", "tests.faults.full_disk_command", disk, size, left]
    done = subprocess.run(
        [*map(str, wrapper), *build.into(disk, "--resume")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(left.rglob("manifest.json"))
    assert not [path for path in left.rglob(".*") if path.is_file()]
    subprocess.run(build.into(left, "--resume"), check=True, capture_output=True)
    assert tree(left) == build.whole


def test_files_that_may_not_grow_leave_no_half_of_one(builds, tmp_path):
    build = builds("mlm")
    out = tmp_path / "limited" / "out"
    largest = max(len(data) for name, data in build.whole.items() if name.endswith(".arrow"))
    done = subprocess.run(
        build.into(out.parent),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 8, largest - 8)),
        env={**os.environ, "LMPREP_CACHE_DIR": os.environ["LMPREP_CACHE_DIR"]},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1, done.stderr
    assert re.search(r"^Error: .*File too large", done.stderr, re.MULTILINE), done.stderr
    assert "Traceback" not in done.stderr
    for path in out.parent.rglob("*.arrow"):
        assert path.read_bytes() == build.whole[str(path.relative_to(out.parent))]
    subprocess.run(build.into(out.parent, "--resume"), check=True, capture_output=True)
    assert tree(out.parent) == build.whole


@pytest.mark.parametrize("handles", [12, 20])
def test_few_open_files_are_enough_or_an_error(builds, tmp_path, handles):
    build = builds("mlm")
    folder = tmp_path / "few"
    done = subprocess.run(
        build.into(folder),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (handles, handles)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode in (0, 1), done.stderr
    if done.returncode == 1:
        assert "Too many open files. Allow more of them: ulimit -n 1024." in done.stderr
        assert not list(folder.rglob("manifest.json"))
        subprocess.run(build.into(folder, "--resume"), check=True, capture_output=True)
    assert tree(folder) == build.whole
