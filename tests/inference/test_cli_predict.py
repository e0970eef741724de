"""`lmprep predict` on the command line: lines in, lines out, in the same order."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lmprep.finetuning.finetune import finetune
from lmprep.finetuning.settings import FinetuneSettings
from tests.cli.conftest import run
from tests.finetuning.conftest import task_file

__all__ = ["run", "task_file"]


@pytest.fixture
def asked(run, tmp_path):
    """Run a command on the lines of a file."""

    def ask(*arguments, lines):
        (tmp_path / "lines.txt").write_text(lines)
        found = (*arguments[:3], "lines.txt", *arguments[3:])
        return run(*found)

    return ask


def test_gaps_are_filled_line_by_line(model_folder, asked):
    model = model_folder("bert")
    text = "the [MASK] boat\na [MASK] and [MASK]\n"
    shown = asked("predict", "fill", model, "--top", 2, lines=text)
    told = asked("predict", "fill", model, "--top", 2, "--json", lines=text)

    assert shown.code == told.code == 0, shown.err + told.err
    found = [json.loads(line) for line in told.out.splitlines()]
    assert [len(one["fills"]) for one in found] == [1, 2]
    lines = shown.out.splitlines()
    assert [lines[1], lines[4]] == [one["text"] for one in found]
    assert lines[0].split()[0] == next(iter(found[0]["fills"][0]))


def test_texts_are_written_on_and_draws_stay_with_their_lines(model_folder, asked, lmprep):
    model, flags = model_folder("gpt2"), ("--sample", "--tokens", 5, "--json", "--seed", 3)
    text = "the boat\n\na night\n"
    first = asked("predict", "generate", model, *flags, lines=text)
    piped = lmprep("predict", "generate", model, *flags, stdin=text.encode())
    found = [json.loads(line) for line in first.out.splitlines()]
    plain = asked("predict", "generate", model, "--tokens", 5, lines="the boat\n")

    assert first.code == 0, first.err
    assert first.out == piped.stdout
    assert [one["prompt"] for one in found] == ["the boat", "", "a night"]
    assert plain.out.startswith("the boat")


def test_vectors_go_to_a_file(model_folder, asked, tmp_path):
    out = tmp_path / "v.npy"
    ended = asked("predict", "embed", model_folder("bert-bare"), "-o", out, lines="a b\nc\n")

    assert ended.code == 0, ended.err
    assert np.load(out).shape == (2, 32)


@pytest.mark.parametrize("task", ["classify", "pair", "choice", "tag", "span", "qa"])
def test_what_was_learnt_is_asked_in_a_pipe(model_folder, task_file, asked, tmp_path, task):
    settings = FinetuneSettings(task=task, epochs=1, length=48, precision="fp32")
    finetune(
        str(model_folder("bert")), settings, tmp_path / "out",
        train=task_file(task, 0, 16), dev=task_file(task, 1, 8),
    )  # fmt: skip
    text = {
        "classify": "the boat\nthe night\n",
        "pair": "the boat\tthe night\na\tb\n",
        "choice": '{"text": "the", "choices": ["boat", "night"]}\n' * 2,
        "tag": "the boat\nnight\n",
        "span": "the boat\nnight\n",
        "qa": "the boat?\tthe night was long\na\tb\n",
    }[task]
    told = asked("predict", task, tmp_path / "out", "--json", lines=text)
    shown = asked("predict", task, tmp_path / "out", lines=text)

    assert told.code == shown.code == 0, told.err + shown.err
    found = [json.loads(line) for line in told.out.splitlines()]
    assert len(found) == 2
    lines = shown.out.split("\n")
    if task in ("classify", "pair"):
        assert [line.split("\t")[0] for line in lines[:2]] == [one["label"] for one in found]
        assert sum(found[0]["scores"].values()) == pytest.approx(1, abs=1e-4)
    elif task == "tag":
        expected = [f"{w}\t{t}" for w, t in zip(found[0]["words"], found[0]["tags"], strict=True)]
        assert lines[:3] == [*expected, ""]
    elif task == "choice":
        assert [line.split("\t")[0] for line in lines[:2]] == [str(one["choice"]) for one in found]
    else:
        assert len(lines) == 3


def test_wrong_use_says_what_would_be_right(model_folder, asked, run, tmp_path):
    bert, gpt = model_folder("bert"), model_folder("gpt2")
    lacking = asked("predict", "fill", bert, lines="a [MASK]\n" * 99 + "no gap\n")
    idle = asked("predict", "generate", gpt, "--top-k", 5, lines="a\n")
    nothing = asked("predict", "classify", tmp_path, lines="a\n")
    nowhere = run("predict", "fill", bert, tmp_path / "none.txt")

    assert idle.code == nothing.code == nowhere.code == 2
    assert lacking.code == 1
    assert "lines.txt:100: there is no [MASK]. Write [MASK] where a gap is." in lacking.err
    assert "need --sample" in idle.err
    assert "there is no fine-tuned model here" in nothing.err
    assert "none.txt" in nowhere.err


def test_a_line_that_is_no_example_is_named(model_folder, task_file, asked, tmp_path):
    finetune(
        str(model_folder("bert")), FinetuneSettings(task="pair", epochs=1, length=48),
        tmp_path / "out", train=task_file("pair", 0, 16), dev=task_file("pair", 1, 8),
    )  # fmt: skip
    columns = asked("predict", "pair", tmp_path / "out", lines="a\tb\na\n")
    broken = asked("predict", "pair", tmp_path / "out", lines='a\tb\n{"text": \n')

    assert columns.code == broken.code == 1
    assert "lines.txt:2: has 1 columns. Write TEXT TAB SECOND" in columns.err
    assert "lines.txt:2: not a JSON object" in broken.err
