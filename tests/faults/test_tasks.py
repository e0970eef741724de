"""Tasks that are killed, and run again, end as one undisturbed build."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lmprep.build_settings import BuildSettings
from lmprep.engines import job
from tests.corpora import make_tokenizer, tree, write_corpus

TASKS = 2
OBJECTIVES = ["mlm", "skipgram", "cooccurrence"]
FLAGS = {"length": 48, "partition_size": 4000, "valid": "25%"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("builds") / "corpus.txt", documents=240)


@pytest.fixture(scope="module")
def tokenizer(corpus) -> Path:
    return make_tokenizer(corpus, corpus.parent / "tok")


def plan_of(corpus: Path, tokenizer: Path, out: Path, objective: str) -> job.Plan:
    settings = BuildSettings.from_options({"objective": objective, **FLAGS})
    return job.make_plan([str(corpus)], str(tokenizer), out, settings)


@pytest.fixture
def expected(corpus, tokenizer, objective, tmp_path) -> dict[str, bytes]:
    plan = plan_of(corpus, tokenizer, tmp_path / "expected" / "out", objective)
    job.run(plan, workers=1, resume=False, force=False)
    return tree(tmp_path / "expected")


@pytest.fixture
def objective(dice) -> str:
    return dice.choice(OBJECTIVES)


def test_tasks_that_are_killed_and_run_again_end_as_one_undisturbed_build(
    corpus, tokenizer, objective, expected, dice, tmp_path
):
    folder = tmp_path / "tasks"
    folder.mkdir()
    flags = [part for n, v in FLAGS.items() for part in ("--" + n.replace("_", "-"), str(v))]
    command = [
        sys.executable, "-m", "lmprep", "build", objective, str(corpus), "-t", str(tokenizer),
        "-o", "out", "--workers", str(dice.choice((1, 2))), *flags,
    ]  # fmt: skip

    def start(index: int) -> subprocess.Popen:
        return subprocess.Popen(
            [*command, "--task", f"{index}/{TASKS}"],
            cwd=folder,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    killed = 0
    for _ in range(1):
        tasks = [start(index) for index in range(TASKS)]
        wait_for_receipts(folder / "out", tasks)
        time.sleep(dice.uniform(0, 0.2))
        for task in tasks:
            number = dice.choice((signal.SIGKILL, signal.SIGTERM))
            task.send_signal(number)
            with task:
                _, said = task.communicate(timeout=60)
            killed += task.returncode != 0
            assert task.returncode in (0, -signal.SIGKILL, 143), said
            assert (b"--resume" in said) == (task.returncode == 143)
    last = [start(index) for index in range(TASKS)]
    for task in last:
        with task:
            assert task.wait(timeout=120) == 0, task.stderr.read()

    assert killed
    assert tree(folder) == expected


def wait_for_receipts(out: Path, tasks: list[subprocess.Popen]) -> None:
    """Wait until another partition was built, or a task has ended."""
    before = len(list((out / "receipts").glob("*.json")))
    deadline = time.monotonic() + 60
    while len(list((out / "receipts").glob("*.json"))) <= before:
        if any(task.poll() is not None for task in tasks):
            return
        assert time.monotonic() < deadline
        time.sleep(0.005)
