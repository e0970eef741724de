"""The recipes that ship with lmprep: listed, shown, loadable, runnable by name."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from lmprep.errors import UsageError
from lmprep.objective_settings import FORMS
from lmprep.recipe_file import load_recipe
from lmprep.shipped import find_recipe
from tests.corpora import write_corpus

NAMES = (
    "albert", "bart", "bert", "distilbert", "electra", "elmo", "glove", "gpt", "gpt2", "infoword",
    "roberta", "spanbert", "t5", "ul2", "word2vec",
)  # fmt: skip


def test_the_families_of_the_field_are_there(run):
    listed = json.loads(run("recipes", "--json").out)
    shown = run("recipes").out

    assert [recipe["name"] for recipe in listed] == list(NAMES)
    for recipe in listed:
        assert f" {recipe['name']} " in shown
        assert recipe["title"] in shown
        assert re.search(r"(19|20)\d\d", recipe["source"])


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_loads_with_a_vocabulary_that_fits(name):
    recipe = load_recipe(find_recipe(name), corpus=["corpus.txt"])
    form = FORMS[recipe.build.objective]

    assert recipe.name == name
    assert recipe.vocab.family in form.families
    assert recipe.pretrain is not None


@pytest.mark.parametrize("name", NAMES)
def test_every_key_says_where_it_is_from(name):
    lines = find_recipe(name).read_text().splitlines()
    keys = [line for line in lines if re.match(r"[a-z_0-9]+ = ", line)]

    assert lines[0].startswith("# ")
    assert lines[1].startswith("# ")
    assert len(keys) >= 4
    for line in keys:
        assert re.search(r"  # \S+", line), line
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_key_is_refused(name):
    for table in tomllib.loads(find_recipe(name).read_text()):
        with pytest.raises(UsageError, match="unknown setting 'legnth'"):
            load_recipe(find_recipe(name), corpus=["x"], changes=[f"{table}.legnth=1"])


def test_a_shown_recipe_can_be_kept_and_changed(run):
    Path("mine.toml").write_text(run("recipes", "show", "bert").out)
    mine, theirs = (load_recipe(find_recipe(name), corpus=["x"]) for name in ("mine.toml", "bert"))

    assert mine.build == theirs.build
    assert mine.vocab == theirs.vocab


def test_a_file_comes_before_a_shipped_recipe_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bert").write_text("")

    assert find_recipe("bert") == Path("bert")


@pytest.mark.parametrize("command", ["run", "recipes"])
def test_a_name_that_is_neither_gets_the_nearest(run, command):
    first = ("recipes", "show") if command == "recipes" else ("run",)
    near = run(*first, "rbert")
    far = run(*first, "nowhere/xyz.toml")

    assert near.code == far.code == 2
    assert re.search(r"rbert: there is no such recipe.*Did you mean \w*bert\?", near.err)
    assert "albert, bart, bert" in far.err


@pytest.mark.parametrize(
    ("name", "size", "copies", "pairs"), [("bert", 120, 2, "nsp"), ("t5", 170, 1, "none")]
)
def test_a_recipe_runs_by_name_on_another_corpus(run, name, size, copies, pairs):
    write_corpus(Path("c.txt"))
    changes = (
        f"vocab.size={size}", "build.length=32", f"build.copies={copies}", "build.valid=20%",
        f"pretrain.model={name}-tiny", "pretrain.steps=3", "pretrain.batch_tokens=128",
    )  # fmt: skip
    flags = [word for change in changes for word in ("--set", change)]
    ended = run("run", name, "--corpus", "c.txt", "-o", "out", "--json", "--workers", 1, *flags)

    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["step"] == 3
    manifest = json.loads(Path("out/train/manifest.json").read_text())
    assert manifest["settings"]["sequences"]["pairs"] == pairs
    assert manifest["settings"]["copies"] == copies


def test_a_recipe_without_a_trainer_makes_its_examples_and_says_so(run):
    write_corpus(Path("c.txt"), documents=20)
    vocab, build = 'algorithm = "wordpiece"\nsize = 120', 'objective = "mlm"\nlength = 32'
    Path("mine.toml").write_text(f"[vocab]\n{vocab}\n[build]\n{build}\n")
    ended = run("run", "mine.toml", "--corpus", "c.txt", "--workers", 1)

    assert ended.code == 0, ended.err
    assert "mine has no [pretrain]: it ends with its examples, in runs/mine/train" in ended.err
    assert ended.out == ""
    assert json.loads(Path("runs/mine/train/manifest.json").read_text())["totals"]["rows"] > 0
    assert not Path("runs/mine/run").exists()
