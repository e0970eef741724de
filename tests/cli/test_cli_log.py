"""`--log-format json`: every line on stderr is an object, whatever happens."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path

import pytest

from lmprep.cli import log
from tests.corpora import make_tokenizer, write_corpus


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    return make_tokenizer(write_corpus(folder / "corpus.txt"), folder / "tok")


def records(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_build_says_all_of_it_in_objects(lmprep, tokenizer, tmp_path):
    (tmp_path / "a.jsonl").write_text("[]\n" + '{"text": "Ba ke lo. Mi nu ra."}\n' * 20)
    done = lmprep(
        "build", "mlm", "a.jsonl", "-t", tokenizer, "-o", "out", "--on-error", "skip",
        "--log-format", "json", "--json",
    )  # fmt: skip
    said = records(done.stderr)
    (warning,) = [record for record in said if record["level"] == "warning"]

    (progress,) = [record for record in said if record["level"] == "progress"]
    assert (progress["step"], progress["bytes"]) == ("build", 20 * 19)
    assert progress["total_bytes"] == (tmp_path / "a.jsonl").stat().st_size
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["train"]["documents"] == 20
    assert str(warning["message"]).startswith("a.jsonl: 1 bad records were left out")
    assert datetime.fromisoformat(str(warning["time"])).utcoffset() is not None


def test_an_error_tells_its_parts(lmprep, tokenizer, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "Ba."}\n[]\n')
    done = lmprep("build", "mlm", "a.jsonl", "-t", tokenizer, "-o", "out", "--log-format", "json")
    (error,) = [record for record in records(done.stderr) if record["level"] == "error"]

    assert done.returncode == error["exit_code"] == 1
    assert error["path"] == "a.jsonl"
    assert error["line"] == 2
    assert error["what"] == "the record is a list, not an object"
    assert error["fix"] == 'Each line must be an object with a text: {"text": "..."}'
    assert str(error["message"]).startswith("a.jsonl:2: the record is a list")


@pytest.mark.parametrize(
    ("given", "environment"),
    [
        (["--log-format", "json"], {}),
        (["--log-format=json"], {}),
        ([], {"LMPREP_LOG_FORMAT": "json"}),
    ],
)
def test_wrong_usage_is_an_object_too(lmprep, monkeypatch, given, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = lmprep("build", "mlm", "a.txt", "--lenght", "3", *given)
    (error,) = records(done.stderr)

    assert done.returncode == error["exit_code"] == 2
    assert "--lenght" in str(error["message"])


def test_a_training_reports_numbers(lmprep, tokenizer, tmp_path):
    write_corpus(tmp_path / "a.txt")
    assert (
        lmprep("build", "mlm", "a.txt", "-t", tokenizer, "-o", "out", "--length", "32").returncode
        == 0
    )
    done = lmprep(
        "pretrain", "out", "-o", "run", "--model", "bert-tiny", "--steps", "3",
        "--batch-tokens", "256", "--log-format", "json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    last = [record for record in records(done.stderr) if record["level"] == "progress"][-1]

    assert last["step"] == 3
    assert last["fraction"] == 1
    assert float(str(last["loss"])) > 0
    assert str(last["message"]).startswith("pretrain: step 3 (100%)")


def test_numbers_that_json_has_not_are_null(monkeypatch, capfd):
    monkeypatch.setenv("LMPREP_LOG_FORMAT", "json")
    log.say("a loss", loss=math.nan, valid={"loss": math.inf, "accuracy": 0.5})
    found = json.loads(capfd.readouterr().err, parse_constant=pytest.fail)

    assert found["loss"] is None
    assert found["valid"] == {"loss": None, "accuracy": 0.5}


def test_a_fault_of_ours_is_an_object_with_its_traceback(monkeypatch, capfd):
    monkeypatch.setenv("LMPREP_LOG_FORMAT", "json")
    try:
        raise RuntimeError("a fault")
    except RuntimeError as error:
        log.show_bug(RuntimeError, error, error.__traceback__)
    (found,) = records(capfd.readouterr().err)

    assert (found["level"], found["message"]) == ("error", "RuntimeError: a fault")
    assert "raise RuntimeError" in str(found["traceback"])
