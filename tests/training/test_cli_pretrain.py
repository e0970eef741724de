"""`lmprep pretrain` as a user meets it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from tiny_runs import make_folders


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folders(tmp_path_factory.mktemp("cli"))


@pytest.fixture
def flags(folder):
    """What every call here has in common."""
    model = ("--model", folder / "model.toml", "--batch-tokens", 400, "--device", "cpu")
    return ("pretrain", folder / "train", "-o", "run", *model)


def test_json_goes_to_stdout_and_progress_to_stderr(lmprep, flags, folder):
    done = lmprep(*flags, "--steps", 12, "--eval", folder / "valid", "--json")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["step"] == 12
    assert set(result["losses"]) == {"loss", "token_loss", "pair_loss", "grad_norm"}
    assert 0 <= result["validation"]["token_accuracy"] <= 1
    assert "pretrain: step 12 (100%), epoch " in done.stderr


def test_each_loss_has_its_weight(lmprep, tmp_path_factory):
    span = make_folders(tmp_path_factory.mktemp("span"), "span")
    weights = ("--token-weight", 2, "--pair-weight", 0.5, "--boundary-weight", 0.25)
    model = ("--model", span / "model.toml", "--batch-tokens", 400, "--device", "cpu")
    done = lmprep("pretrain", span / "train", "-o", "run", *model, *weights, "--steps", 2, "--json")

    assert done.returncode == 0, done.stderr
    losses = json.loads(done.stdout)["losses"]
    weighted = 2 * losses["token_loss"] + 0.5 * losses["pair_loss"]
    assert losses["loss"] == pytest.approx(weighted + 0.25 * losses["boundary_loss"], rel=1e-4)


def test_the_end_shows_the_figures_of_the_last_validation(lmprep, flags, folder):
    done = lmprep(*flags, "--steps", 3, "--eval", folder / "valid")

    assert done.returncode == 0, done.stderr
    progress, result = done.stderr.splitlines()[-2:]
    assert progress.startswith("pretrain: step 3 (100%)")
    assert result.startswith("run: 3 steps, ")
    for line in (progress, result):
        assert re.search(r"valid token_loss \d\.\d{3}, valid token_accuracy", line)


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(lmprep, flags, tmp_path):
    done = lmprep(*flags, "--time", "10m", "--dry-run", "--json")

    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["parameters"] > 0
    assert 500 < facts["seconds"] < 700
    assert list(tmp_path.iterdir()) == []
    table = lmprep(*flags, "--steps", 10, "--dry-run").stdout
    assert "parameters" in table
    assert "nothing written" in table
    assert f"{facts['parameters']:,}" in table
    assert re.search(r"memory bytes +\d+\.\d\d GB", table)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (("--steps", 5, "--time", "1m"), "exactly one of steps, tokens and time is needed"),
        ((), "exactly one of steps, tokens and time is needed; found none"),
        (("--steps", 5, "--lr", 2), "lr 2.0 must be between 0 and 1"),
        (("--time", "soon"), "'soon' is not a duration such as 90s"),
        (("--steps", 5, "--model", "bert"), "there is no model 'bert'"),
    ],
)
def test_wrong_usage_exits_with_2_before_any_work(lmprep, flags, tmp_path, given, complaint):
    done = lmprep(*flags, *given)

    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_missing_model_and_a_missing_dataset_are_named(lmprep, flags):
    without_model = lmprep(*flags[:4], "--steps", 5)
    assert without_model.returncode == 2
    assert "--model is missing" in without_model.stderr
    without_dataset = lmprep("pretrain", "nowhere", *flags[2:], "--steps", 5)
    assert without_dataset.returncode != 0
    assert "nowhere: there is no such dataset folder" in without_dataset.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(lmprep, flags, tmp_path, number, code):
    command = [sys.executable, "-m", "lmprep", *map(str, flags), "--steps", "100000"]
    with subprocess.Popen(
        [*command, "--log-every", "1"], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        wait_for(tmp_path / "run" / "metrics.jsonl", process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == code
    assert "everything is saved. Go on with: lmprep pretrain" in errors
    assert "Error" not in errors
    (checkpoint,) = (tmp_path / "run" / "checkpoints").iterdir()
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert checkpoint.name == f"step-{last['step']}"


def wait_for(path, process):
    """Until the first line of metrics is there."""
    for _ in range(1200):
        if path.exists() and path.stat().st_size:
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError("no step within a minute")


def test_a_run_is_continued_without_its_flags(lmprep, flags, folder):
    assert lmprep(*flags, "--steps", 6).returncode == 0
    again = lmprep(*flags, "--steps", 6)
    assert again.returncode == 2
    assert "already holds a run" in again.stderr
    resumed = lmprep("pretrain", folder / "train", "-o", "run", "--resume")
    assert resumed.returncode == 0
    assert "run is already complete; nothing to do." in resumed.stderr
    other = lmprep("pretrain", folder / "train", "-o", "run", "--resume", "--seed", 5)
    assert other.returncode == 2
    assert "pretrain.seed is 0 there and 5 here" in other.stderr
