"""The commands and scripts on the page about batch jobs do what the page says."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from lmprep.cli.build import build
from tests.corpora import tree
from tests.test_docs import ROOT, examples, run

PAGE = (ROOT / "lmprep" / "docs" / "batch-jobs.md").read_text(encoding="utf-8")
TASKS, RAY = PAGE.split("\n## Ray\n")


def block(language: str, containing: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    (found,) = (one for one in blocks if containing in one)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder in which the commands about tasks were run."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "samples").symlink_to(ROOT / "samples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command, shown in examples(TASKS):
            if "vocab" not in command:  # which prints how well it fits
                command += " --workers 1" if command.startswith("lmprep build") else ""
                assert run(command) == shown, command
            else:
                run(command)
    return folder


@pytest.fixture
def in_folder(folder, monkeypatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def run_script(script: str, variables: dict[str, str]) -> None:
    """Run the lmprep command that a script runs, its variables filled in."""
    command = script[script.index("lmprep build") :].replace("\\\n", " ")
    for name, value in variables.items():
        command = command.replace(name, value)
    assert "$" not in command
    run(" ".join(command.replace('"', "").split()))


def test_tasks_build_what_one_process_builds(folder):
    assert tree(folder / "shards") == tree(folder / "whole")
    assert len(list((folder / "whole").glob("*.arrow"))) >= 3


def test_the_slurm_script_is_a_script_and_builds(in_folder):
    script = block("sh", "#SBATCH")
    subprocess.run(["bash", "-n"], input=script.encode(), check=True)
    first, last = re.search(r"--array=(\d+)-(\d+)", script).groups()
    assert first == "0"
    tasks = int(last) + 1
    for index in range(tasks):
        run_script(
            script,
            {
                "$SLURM_ARRAY_TASK_ID": str(index),
                "$SLURM_ARRAY_TASK_COUNT": str(tasks),
                "$SLURM_CPUS_PER_TASK": "1",
            },
        )

    assert tree(in_folder / "slurm-out") == tree(in_folder / "whole")


def test_the_job_of_kubernetes_is_one_and_builds(in_folder):
    job = yaml.safe_load(block("yaml", "kind: Job"))
    spec = job["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert (job["apiVersion"], spec["completionMode"]) == ("batch/v1", "Indexed")
    for index in range(spec["completions"]):
        run_script(container["args"][0], {"$JOB_COMPLETION_INDEX": str(index)})

    assert tree(in_folder / "kubernetes-out") == tree(in_folder / "whole")


def test_the_line_of_gnu_parallel_builds(in_folder):
    script = block("sh", "parallel -j")
    assert script.startswith("seq 0 3 | parallel -j 2 lmprep build ")
    for index in range(4):
        run_script(script, {"{}": str(index)})

    assert tree(in_folder / "parallel-out") == tree(in_folder / "whole")


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_the_commands_about_ray(in_folder, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else it writes to the user's home
    monkeypatch.setenv("RAY_TMPDIR", "/tmp/lmprep-ray-test")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    try:
        for command, shown in examples(RAY):
            more = " --workers 1" if command.startswith("lmprep build") else ""
            assert run(command + more) == shown, command
    finally:
        shutil.rmtree("/tmp/lmprep-ray-test", ignore_errors=True)


def test_flags_on_the_page_are_flags_of_build():
    known = {flag for option in build.get_command(None, "mlm").params for flag in option.opts}
    named = set(re.findall(r"`(--[a-z-]+)", PAGE)) - {"--rounds", "--dependency"}

    assert named <= known
