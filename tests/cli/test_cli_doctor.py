"""`lmprep doctor`: what is installed, what is broken, and kernels that are compiled ahead."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import lmprep as package
from lmprep.cli import warming
from lmprep.doctor.kernels import kernel_cache
from lmprep.doctor.packages import check_package
from lmprep.objective_settings import FORMS
from lmprep.settings import ALGORITHMS, FAMILIES
from tests.corpora import write_corpus

LMPREP = [sys.executable, "-m", "lmprep"]
WARMED = ("vocab wordpiece", "vocabulary of bert", "build and verify clm")
COMMANDS = (
    ("vocab", "corpus.txt", "-o", "tok", "--algorithm", "wordpiece", "--size", "150"),
    ("encode", "-t", "tok", "corpus.txt", "--to", "jsonl", "-o", "ids"),
    ("decode", "-t", "tok", "ids"),
    ("build", "clm", "corpus.txt", "-t", "tok", "-o", "out", "--length", "64", "--workers", "1"),
    ("verify", "out"),
)


def run_with(
    cache: Path, cwd: Path, *command: str, before: tuple[str, ...] = (), seconds: int = 300
):
    """Run a command with a kernel cache of its own; it must do."""
    return subprocess.run(
        [*before, *LMPREP, *command],
        cwd=cwd,
        env={**os.environ, "LMPREP_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=True,
    )


def unfinished(folder: str, names: list[str]) -> list[str]:
    """Files that another test's process is just writing: they may be gone any moment."""
    files = (name for name in names if not Path(folder, name).is_dir())
    return [name for name in files if not name.endswith((".nbi", ".nbc"))]


@pytest.fixture(scope="module")
def warm_cache(tmp_path_factory) -> Path:
    """A cache warmed by some parts of `--warm`; all of them take three times as long.

    It is a copy of the one of all tests, which other tests will be glad to find warm.
    """
    cache, folder = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("warming")
    code = (
        "import sys; from pathlib import Path; from lmprep.cli.warming import warm_up\n"
        "warm_up(Path(sys.argv[1]), print, sys.argv[2:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), *WARMED],
        capture_output=True,
        text=True,
        check=True,
    )
    shutil.copytree(os.environ["LMPREP_CACHE_DIR"], cache, ignore=unfinished, dirs_exist_ok=True)
    assert [line.split(" s  ")[1].split(",")[0] for line in done.stdout.splitlines()] == [*WARMED]
    return cache


def test_it_tells_what_is_installed(run):
    import numpy

    ended = run("doctor")
    facts = dict(line.split(None, 1) for line in ended.out.splitlines())
    report = json.loads(run("doctor", "--json").out)

    assert ended.code == 0, ended.err
    assert facts["lmprep"].strip() == package.__version__ == report["facts"]["lmprep"]
    assert facts["numpy"].strip() == numpy.__version__
    assert sys.executable in facts["Python"]
    assert {"numba", "tokenizers", "pyarrow", "datasets", "torch", "ICU", "memory"} <= set(facts)
    assert f"of {kernel_cache().kernels}" in report["facts"]["kernels compiled"]
    assert str(kernel_cache().folder) in report["facts"]["kernel cache"]
    assert report["problems"] == []


def test_a_package_that_does_not_load_is_broken_and_named(lmprep, tmp_path):
    (tmp_path / "sentencepiece.py").write_text("raise ImportError('libfoo.so is missing')")
    done = lmprep("doctor", "--json")

    assert done.returncode == 1
    assert "cannot be loaded: libfoo.so is missing. pip install --force-re" in done.stderr
    report = json.loads(done.stdout)
    (problem,) = report["problems"]
    assert "numpy" in report["facts"]
    assert problem["broken"]
    assert problem["fix"].startswith("pip install --force-reinstall 'sentencepiece>=")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("declared", "extra", "fault", "fix"),
    [
        ("numpy>=2.0", "", "", ""),
        ("fsspec[http]>=2025.3", "", "", ""),
        ("numpy>=99.1", "", "is not >=99.1", "pip install 'numpy>=99.1'"),
        ("numpy>=1.0,<2.0", "", "is not <2.0,>=1.0", "pip install 'numpy<2.0,>=1.0'"),
        ("lmprep-none>=1.0", "", "is not installed", "'lmprep-none>=1.0'"),
        ("lmprep-none>=1.0", "train", "", "'lmprep[train]'"),
    ],
)
def test_packages_may_be_missing_too_old_or_too_new(declared, extra, fault, fix):
    found = check_package(Requirement(declared), extra)

    assert fault in found.fault
    assert bool(found.fault) == bool(fault)
    assert fix in found.fix


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / "file").touch()
    done = run_with(tmp_path / "file", tmp_path, "doctor")

    assert "Warning: the kernel cache cannot be written" in done.stderr
    assert "LMPREP_CACHE_DIR" in done.stderr
    assert "(cannot be written)" in done.stdout


def test_after_warming_nothing_is_compiled(warm_cache, tmp_path):
    write_corpus(tmp_path / "corpus.txt")
    before = sorted(warm_cache.rglob("*.nbc"))

    for command in COMMANDS:
        assert "Compiling" not in run_with(warm_cache, tmp_path, *command).stderr, command
    assert sorted(warm_cache.rglob("*.nbc")) == before


@pytest.mark.long
def test_a_warm_cache_serves_where_it_cannot_be_written(warm_cache, tmp_path):
    if not shutil.which("unshare") or os.geteuid() != 0:
        pytest.skip("mounting a folder read-only needs root and unshare")
    mount = f"mount --bind {warm_cache} {warm_cache} && mount -o remount,bind,ro {warm_cache}"
    read_only = ("unshare", "-m", "sh", "-c", f'{mount} || exit 77; exec "$@"', "sh")
    if subprocess.run([*read_only, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount")
    write_corpus(tmp_path / "corpus.txt")

    for command in COMMANDS:
        done = run_with(warm_cache, tmp_path, *command, before=read_only)
        assert "Compiling" not in done.stderr, command
    assert (
        "(cannot be written)" in run_with(warm_cache, tmp_path, "doctor", before=read_only).stdout
    )


def test_warming_shows_each_part_with_its_seconds(run, monkeypatch):
    steps = [["vocab", "words.txt", "-o", "tok", "--algorithm", "word", "--size", "60"]]
    monkeypatch.setattr(warming, "parts", lambda: [warming.Part("a part", steps)])
    ended = run("doctor", "--warm", "--json")

    lines = [line for line in ended.err.splitlines() if not line.startswith("Compiling")]
    assert ended.code == 0, ended.err
    assert [line.split(" s  ")[1] for line in lines] == ["a part", "in all"]
    assert json.loads(ended.out)["problems"] == []
    assert not Path("tok").exists()


def test_a_part_that_fails_says_which_command_it_was(run, monkeypatch):
    monkeypatch.setattr(warming, "parts", lambda: [warming.Part("a part", [["docs", "none"]])])
    ended = run("doctor", "--warm")

    assert ended.code != 0
    assert "none" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.long
def test_warming_leaves_no_kernel_out(tmp_path):
    warmed = run_with(tmp_path / "cache", tmp_path, "doctor", "--warm", "--json", seconds=1500)
    facts = json.loads(warmed.stdout)["facts"]
    compiled, _, kernels = facts["kernels compiled"].partition(" of ")

    assert compiled == kernels
    assert "MB/s" in facts["encoding"]


def test_every_algorithm_family_and_objective_is_warmed():
    parts = list(warming.parts())
    commands = [step for part in parts for step in part.steps if isinstance(step, list)]
    built = [command for command in commands if command[0] == "build"]

    assert {c[c.index("--algorithm") + 1] for c in commands if c[0] == "vocab"} == {*ALGORITHMS}
    assert {c[c.index("-t") + 1] for c in commands if c[0] == "encode"} == {*FAMILIES, "other"}
    for objective, form in FORMS.items():
        words = {word for command in built if command[1] == objective for word in command}
        assert {*form.sequences, *form.pairs} - {"none"} <= words
