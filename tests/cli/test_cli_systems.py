"""The commands on the pages of single systems run; only their steps are fewer here."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from lmprep.models.losses import LOSSES
from lmprep.shipped import find_recipe
from lmprep.training.tasks import MODEL_KINDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "lmprep" / "docs"
PAGES = ("electra", "distilbert", "infoword")


def commands(page: str) -> list[str]:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


def quick(command: str) -> list[str]:
    """A command with two steps of a few rows, a small vocabulary and one process."""
    words = shlex.split(command)[1:]
    words = [re.sub(r"steps=\d+$", "steps=2", word) for word in words]
    if "--steps" in words:
        words[words.index("--steps") + 1] = "2"
    if words[0] == "run":
        words += ["--workers", "1", "--set", "vocab.size=300", "--set", "build.valid=10%"]
        words += ["--set", "pretrain.batch_tokens=512"]
    if words[0] == "vocab":
        words[words.index("--size") + 1] = "300"
    if words[0] == "pretrain":
        words += ["--batch-tokens", "512"]
    return words


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_run(run, page):
    torch.set_num_threads(1)
    Path("samples").mkdir()
    lines = (ROOT / "samples" / "corpus.txt").read_text(encoding="utf-8").splitlines(True)
    Path("samples/corpus.txt").write_text("".join(lines[:200]), encoding="utf-8")
    for command in commands(page):
        ended = run(*quick(command))
        assert ended.code == 0, (command, ended.err)
    assert (Path("out") / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_of_a_recipe_and_names_what_it_reports(page):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    recipe = find_recipe(page).read_text(encoding="utf-8")

    assert f"$ lmprep run {page} " in text
    assert "[pretrain]" in recipe
    for name, weight in re.findall(r"`(\w+_weight)` ([\d.]+)", text):
        stated = re.search(rf"^{name} = ([\d.]+)", recipe, flags=re.MULTILINE)
        assert stated
        assert float(weight) == float(stated[1])
        assert name.replace("_weight", "_loss") in LOSSES
    objective = re.search(r'objective = "(\w+)"', recipe)
    assert objective
    assert MODEL_KINDS[objective[1]] == "encoder"
