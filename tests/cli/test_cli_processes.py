"""The command line as the shell sees it: pipes, signals, exit codes, and the whole road."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.corpora import make_tokenizer, write_corpus

LMPREP = [sys.executable, "-m", "lmprep"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("cli") / "corpus.txt")


@pytest.fixture(scope="module")
def tokenizer(corpus) -> Path:
    return make_tokenizer(corpus, corpus.parent / "tok")


def records_of(corpus: Path) -> bytes:
    """The corpus as JSON lines, newlines between sentences."""
    texts = corpus.read_text().strip().split("\n\n")
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


def test_a_piped_corpus_gives_what_its_file_gives(lmprep, corpus, tokenizer, tmp_path):
    records = records_of(corpus)
    (tmp_path / "corpus.jsonl.gz").write_bytes(gzip.compress(records))
    flags = ("-t", tokenizer, "--pairs", "nsp", "--length", 48)
    from_file = lmprep("build", "mlm", "corpus.jsonl.gz", "-o", "a", *flags)
    piped = lmprep("build", "mlm", "-", "--format", "jsonl", "-o", "b", *flags, stdin=records)

    assert from_file.returncode == piped.returncode == 0, from_file.stderr + piped.stderr
    assert piped.stdout == ""
    (one,), (other,) = ((tmp_path / name).glob("*.arrow") for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_a_closed_pipe_is_not_an_error(tmp_path):
    done = subprocess.run(
        f"{sys.executable} -m lmprep build --help | head -1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


def test_help_and_version(lmprep):
    assert "lmprep run samples/bert-tiny.toml" in lmprep("-h").stdout
    assert lmprep("--version").stdout.startswith("lmprep, version ")
    for command in ("vocab", "build", "verify", "pretrain", "evaluate", "run"):
        shown = lmprep(command, "--help").stdout
        assert "Examples:" in shown
        assert shown.count(f"lmprep {command} ") >= 2


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)],
)
def test_a_stopped_build_says_how_to_go_on_and_does(tokenizer, tmp_path, number, code):
    corpus = write_corpus(tmp_path / "large.txt", documents=4000)
    command = [
        *LMPREP, "build", "mlm", str(corpus), "-t", str(tokenizer), "-o", "out",
        "--pairs", "nsp", "--length", "48", "--partition-size", "10kB", "--workers", "2",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        # A background job of a shell is started with Ctrl-C ignored, and its children are too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    receipts = tmp_path / "out" / "receipts"
    deadline = time.monotonic() + 120
    while len(list(receipts.glob("*.json"))) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)

    assert process.returncode == code
    assert "--resume" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out" / "manifest.json").exists()
    resumed = subprocess.run(
        [*command, "--resume"], cwd=tmp_path, capture_output=True, check=False, timeout=300
    )
    assert resumed.returncode == 0, resumed.stderr
    whole = subprocess.run(
        [a if a != "out" else "whole" for a in command], cwd=tmp_path, check=False, timeout=300,
        capture_output=True,
    )  # fmt: skip
    assert whole.returncode == 0
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    for name in names:
        if name != "tokenizer":
            one, other = (tmp_path / folder / name for folder in ("out", "whole"))
            assert one.read_bytes() == other.read_bytes()


def test_a_recipe_runs_the_whole_road_and_skips_it_the_second_time(lmprep, corpus, tmp_path):
    (tmp_path / "r.toml").write_text(
        f"""
        [corpus]
        files = "{os.path.relpath(corpus, tmp_path)}"
        [vocab]
        algorithm = "wordpiece"
        size = 120
        [build]
        pairs = "sop"
        length = 48
        valid = "20%"
        [pretrain]
        model = "bert-tiny"
        steps = 4
        batch_tokens = 192
        """
    )
    first = lmprep("run", "r.toml", "--workers", 1)
    second = lmprep("run", "r.toml", "--json", "--set", "pretrain.steps=4")
    other = lmprep("run", "r.toml", "--set", "vocab.size=130")

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "by frequency alone" in first.stdout
    assert second.stderr.count("already complete") == 4
    figures = json.loads(second.stdout)
    assert figures["corrupted"]["cross_entropy"] > 0
    assert 0 <= figures["pairs"]["accuracy"] <= 1
    assert (tmp_path / "runs" / "r" / "run" / "metrics.jsonl").exists()
    assert other.returncode == 2
    assert "other settings" in other.stderr


def test_an_interrupted_recipe_goes_on_where_it_stopped(corpus, tmp_path):
    (tmp_path / "r.toml").write_text(
        f"""
        corpus = {{ files = "{os.path.relpath(corpus, tmp_path)}" }}
        vocab = {{ algorithm = "wordpiece", size = 120 }}
        build = {{ length = 48 }}
        pretrain = {{ model = "bert-tiny", steps = 300, batch_tokens = 96, log_every = 1 }}
        """
    )
    process = subprocess.Popen(
        [*LMPREP, "run", "r.toml"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    metrics = tmp_path / "runs" / "r" / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_bytes().count(b"\n") > 3):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert len(list((tmp_path / "runs" / "r" / "run" / "checkpoints").glob("step-*"))) == 1
    assert "Traceback" not in err
    again = subprocess.run(
        [*LMPREP, "run", "r.toml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("already complete") == 2
    assert "pretrain: 300 steps" in again.stderr


def test_without_torch_training_says_what_to_install(lmprep, corpus, tokenizer, tmp_path):
    missing = "raise ModuleNotFoundError('No module named torch', name='torch')"
    (tmp_path / "torch.py").write_text(missing)
    built = lmprep("build", "mlm", corpus, "-t", tokenizer, "-o", "out")
    trained = lmprep("pretrain", "out", "-o", "run", "--model", "bert-tiny", "--steps", 1)

    assert built.returncode == 0, built.stderr
    assert trained.returncode == 1
    assert "Error: torch is not installed. Training needs: pip install 'lmprep[train]'." in (
        trained.stderr
    )


def test_a_stopped_command_says_what_that_command_needs():
    from lmprep.cli import _how_to_go_on

    assert "--resume" in _how_to_go_on(["build", "mlm"])
    assert "--resume" not in _how_to_go_on(["run", "r.toml"])
    assert "again" in _how_to_go_on(["run", "r.toml"])
    assert _how_to_go_on(["vocab", "x"]) == "Nothing was written."


@pytest.mark.parametrize("stopped", [True, False])
def test_an_error_that_a_stop_led_to_is_a_stop(monkeypatch, capsys, stopped):
    from lmprep import cli

    def compile_kernel(*_: object, **__: object) -> None:
        try:
            raise KeyboardInterrupt if stopped else KeyError("something else")
        except BaseException:
            raise RuntimeError("no compiled object yet")  # noqa: B904

    monkeypatch.setattr(cli.cli, "main", compile_kernel)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit if stopped else RuntimeError) as ended:
        cli.main(["build"])

    if stopped:
        assert ended.value.code == 130
        assert "--resume" in capsys.readouterr().err
