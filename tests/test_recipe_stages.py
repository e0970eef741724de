"""Recipes with stages: one length after another, each with examples of its own."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from lmprep.errors import UsageError
from lmprep.recipe import Step, run_recipe
from lmprep.recipe_file import load_recipe
from lmprep.settings import parse_stage
from lmprep.shards.reader import Dataset
from lmprep.training.metrics import read_metrics
from tests.corpora import write_corpus

HEAD = """
[vocab]
algorithm = "wordpiece"
size = 120
[build]
objective = "mlm"
pairs = "nsp"
valid = "20%"
[pretrain]
model = "bert-tiny"
batch_tokens = 256
log_every = 1
"""
STAGES = """
[[pretrain.stage]]
length = 32
{short}
[[pretrain.stage]]
length = 64
{long}
"""


def written(folder: Path, short: str, long: str, more: str = "") -> Path:
    path = folder / "r.toml"
    path.write_text(HEAD + more + STAGES.format(short=short, long=long))
    return path


def test_stages_of_steps_are_shares_of_their_sum(tmp_path):
    recipe = load_recipe(written(tmp_path, "steps = 9", "steps = 3"), corpus=["c.txt"])

    assert list(recipe.builds) == ["-32", "-64"]
    assert [build.sequences.length for build in recipe.builds.values()] == [32, 64]
    assert recipe.build is recipe.builds["-64"]
    assert recipe.pretrain.steps == 12
    assert recipe.pretrain.stages == ("32:3/4", "64:1/4")


def test_a_share_of_any_budget(tmp_path):
    path = written(tmp_path, 'share = "90%"', "share = 0.1", 'time = "2m"')
    recipe = load_recipe(path, corpus=["c.txt"])

    assert recipe.pretrain.time == 120
    assert [parse_stage(stage) for stage in recipe.pretrain.stages] == [
        (32, Fraction(9, 10)), (64, Fraction(1, 10)),
    ]  # fmt: skip


def test_what_is_set_wins_over_stages(tmp_path):
    path = written(tmp_path, "steps = 9", "steps = 3")
    fewer = load_recipe(path, corpus=["c.txt"], changes=["pretrain.steps=4"])
    one = load_recipe(path, corpus=["c.txt"], changes=["pretrain.steps=4", "build.length=48"])

    assert fewer.pretrain.steps == 4
    assert fewer.pretrain.stages == ("32:3/4", "64:1/4")
    assert list(one.builds) == [""]
    assert one.build.sequences.length == 48
    assert one.pretrain.stages == ()


@pytest.mark.parametrize(
    ("short", "long", "changes", "complaint"),
    [
        ("steps = 3", "share = 0.5", [], "either all stages have steps or all have a share"),
        ("", "steps = 3", [], "needs a length and either a share or steps"),
        ("steps = 3", "steps = 8.99", [], "steps of a stage is 8.99, not a whole number above 0"),
        ("steps = 3", "steps = 0", [], "steps of a stage is 0, not a whole number above 0"),
        ("steps = 3", "step = 3", [], "did you mean steps?"),
        (
            "share = 0.5",
            "share = 0.4",
            ["pretrain.steps=5"],
            "the shares of the stages come to 0.9",
        ),
        ("share = 0.5", "share = 0.5", [], "exactly one of steps, tokens and time is needed"),
    ],
)
def test_stages_that_cannot_be(tmp_path, short, long, changes, complaint):
    with pytest.raises(UsageError) as info:
        load_recipe(written(tmp_path, short, long), corpus=["c.txt"], changes=changes)
    assert complaint in str(info.value)


def test_the_whole_road_through_two_stages(tmp_path):
    corpus = write_corpus(tmp_path / "corpus.txt")
    recipe = load_recipe(written(tmp_path, "steps = 4", "steps = 2"), corpus=[str(corpus)])

    def ran() -> tuple[list[Step], dict[str, Any]]:
        steps: list[Step] = []
        figures = run_recipe(recipe, tmp_path / "out", workers=1, on_step=steps.append)
        return steps, figures

    steps, figures = ran()
    again, same = ran()
    lines = [line for line in read_metrics(tmp_path / "out" / "run") if "loss" in line]
    lengths = {
        name: Dataset(tmp_path / "out" / name).manifest["settings"]["sequences"]["length"]
        for name in ("train-32", "valid-32", "train-64", "valid-64")
    }

    assert lengths == {"train-32": 32, "valid-32": 32, "train-64": 64, "valid-64": 64}
    assert [step.name for step in steps] == ["vocab", "build", "pretrain", "evaluate"]
    assert all(step.skipped for step in again)
    assert same == figures
    assert figures["dataset"].endswith("valid-64")
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    # Both steps of the second stage are the first ones of its own rows.
    assert lines[5]["epoch"] == pytest.approx(2 * lines[4]["epoch"], rel=0.4)
