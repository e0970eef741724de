"""What the page on objectives shows is what happens."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import lmprep
from lmprep.objective_settings import FORMS
from lmprep.training.tasks import MODEL_KINDS
from tests.corpora import build_dataset, make_tokenizer, write_corpus

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "lmprep" / "docs" / "objectives.md").read_text(encoding="utf-8")
SECTIONS = {
    part.split("\n")[0]: part
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)
    if not part.startswith("# ")
}
# Columns that every row of its kind has, whatever the objective.
COMMON = {"document", "first_sentence", "document_starts", "second_document", "second_sentence"}


def examples(text: str) -> list[tuple[str, str]]:
    """The commands of a text's console blocks, each with the output shown below it."""
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    return [
        (command, shown.rstrip("\n"))
        for block in blocks
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, flags=re.MULTILINE)
    ]


def run(command: str) -> str:
    """What a command prints: ours in this process, since starting one takes a second."""
    if not command.startswith("lmprep "):
        done = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True)
        return done.stdout
    from lmprep.cli import cli

    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()):
        cli.main(shlex.split(command)[1:], standalone_mode=False)
    return out.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the first block of the page was run."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "samples").symlink_to(ROOT / "samples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command, _ in examples(PAGE.split("\n## ")[0]):
            run(command)
    return folder


@pytest.mark.parametrize("section", [name for name in SECTIONS if "console" in SECTIONS[name]])
def test_a_command_prints_what_the_page_shows(folder, monkeypatch, section):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "100")
    for command, shown in examples(SECTIONS[section]):
        found = "\n".join(line.rstrip() for line in run(command).splitlines()).rstrip("\n")
        assert found == shown, command


def test_every_objective_has_a_section_with_an_example():
    for objective in FORMS:
        assert f"lmprep try {objective} " in SECTIONS[objective]


@pytest.mark.parametrize("objective", FORMS)
def test_the_settings_on_the_page_are_those_of_the_objective(objective):
    rows = re.findall(r"^\| `(--[a-z-]+)` \|([^|]*)\|", SECTIONS[objective], flags=re.MULTILINE)
    defaults = {}
    for f in fields(FORMS[objective].settings):
        value = getattr(FORMS[objective].settings(), f.name)
        shown = f"{float(value):g}" if isinstance(value, Fraction) else str(value)
        defaults["--" + f.name.replace("_", "-")] = "" if value is False else shown

    assert {name: default.strip() for name, default in rows} == defaults
    if not defaults:
        assert "No settings." in SECTIONS[objective]


@pytest.mark.parametrize("objective", FORMS)
def test_the_columns_on_the_page_are_those_that_are_stored(objective, tmp_path):
    family = FORMS[objective].families[0]
    corpus = write_corpus(tmp_path / "corpus.txt", documents=6)
    tokenizer = make_tokenizer(corpus, tmp_path / "tok", family=family)
    out = build_dataset(corpus, tokenizer, tmp_path / "out", objective=objective, pairs="none")
    stored = set(lmprep.load(out).rows(np.arange(1)))
    said = re.search(r"Columns: (.*)", SECTIONS[objective])
    assert said
    named = set(re.findall(r"`([a-z_]+)`", said[1].split("drop-tokens")[0]))

    assert stored - COMMON == named - COMMON


def test_the_table_says_how_sequences_are_made_and_what_is_trained():
    for objective, form in FORMS.items():
        row = re.search(rf"^\| \[{objective}\].*$", PAGE, flags=re.MULTILINE)
        assert row
        cells = [cell.strip() for cell in row[0].split("|")]
        families = "all" if len(form.families) == 5 else ", ".join(form.families)
        assert cells[3] == f"{form.sequences[0]}, {form.length}"
        assert cells[4] == families
        assert cells[5] == MODEL_KINDS[objective]
