"""Recipes of all objectives that can be trained go the whole road; others end with examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lmprep.cli.evaluate import show_figures
from lmprep.errors import UsageError
from lmprep.recipe import Step, run_recipe
from lmprep.recipe_file import load_recipe
from lmprep.shards.reader import Dataset
from lmprep.shipped import shipped_recipes
from lmprep.training.tasks import MODEL_KINDS
from tests.corpora import write_corpus

# Tables [vocab] and [build], the model, and the rows of the table of figures.
RECIPES: dict[str, tuple[str, str, str, list[str]]] = {
    "span": (
        'algorithm = "wordpiece"\nsize = 120', 'objective = "span"\nspan_max = 4\npairs = "none"',
        "bert-tiny", ["masked tokens", "by frequency alone", "from span boundaries alone"],
    ),
    "sop": (
        'algorithm = "wordpiece"\nsize = 120', 'objective = "ngram"\nngram_max = 2\npairs = "sop"',
        "bert-tiny",
        ["masked tokens", "by frequency alone", "sentence pairs", "always the same label"],
    ),
    "clm": (
        'algorithm = "byte-bpe"\nfamily = "gpt2"\nsize = 330', 'objective = "clm"', "gpt2-tiny",
        [
            "next tokens", "by frequency alone", "sentinels, starts and ends",
            "bits per byte of text",
        ],
    ),
    "t5": (
        'algorithm = "unigram"\nsize = 140\nsentinels = 30', 'objective = "t5"\nnoise = "mass"',
        "t5-tiny",
        ["corrupted tokens", "by frequency alone", "copied tokens", "sentinels, starts and ends"],
    ),
    "bart": (
        'algorithm = "byte-bpe"\nsize = 330', 'objective = "bart"\nrotate_rate = 0.5', "bart-tiny",
        ["corrupted tokens", "by frequency alone", "copied tokens", "sentinels, starts and ends"],
    ),
    "ul2": (
        'algorithm = "unigram"\nfamily = "ul2"\nsize = 140\nsentinels = 30',
        'objective = "ul2"\nweights = "1,1,2,1,1,1,1"', "t5v1.1-tiny",
        ["corrupted tokens", "by frequency alone", "sentinels, starts and ends"],
    ),
}  # fmt: skip
RECIPES["electra"] = (
    'algorithm = "wordpiece"\nsize = 120', 'objective = "electra"', "electra-tiny",
    ["masked tokens, by the generator", "by frequency alone", "replaced or not",
     "by their share alone"],
)  # fmt: skip
RECIPES["infoword"] = (
    'algorithm = "wordpiece"\nsize = 120', 'objective = "infoword"\nngram_max = 2', "bert-tiny",
    ["masked tokens", "by frequency alone", "n-grams by their contexts", "by blind choice"],
)  # fmt: skip
PRETRAIN = '[pretrain]\nmodel = "{}"\nsteps = 3\nbatch_tokens = 192'


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("recipes") / "corpus.txt")


def recipe_file(folder: Path, vocab: str, build: str, *more: str) -> Path:
    path = folder / "r.toml"
    path.write_text("\n".join(["[vocab]", vocab, "[build]", build, "length = 48", *more]))
    return path


def ran(path: Path, corpus: Path, out: Path) -> tuple[list[Step], dict[str, Any]]:
    """The steps that ended, and the figures."""
    steps: list[Step] = []
    recipe = load_recipe(path, corpus=[str(corpus)], changes=["build.valid=20%"])
    return steps, run_recipe(recipe, out, workers=1, on_step=steps.append)


@pytest.mark.parametrize("name", RECIPES)
def test_the_whole_road(corpus, tmp_path, capsys, name):
    vocab, build, model, expected = RECIPES[name]
    path = recipe_file(tmp_path, vocab, build, PRETRAIN.format(model))
    steps, figures = ran(path, corpus, tmp_path / "out")
    again, same = ran(path, corpus, tmp_path / "out")
    show_figures(figures, name)
    table = capsys.readouterr().out.rpartition("─")[2]

    assert [(step.name, step.skipped) for step in steps] == [
        (step, False) for step in ("vocab", "build", "pretrain", "evaluate")
    ]
    assert all(step.skipped for step in again)
    assert same == figures
    assert [line.strip().split("  ")[0] for line in table.splitlines() if line.strip()] == expected
    settings = Dataset(tmp_path / "out" / "train").manifest["settings"]["objective_settings"]
    for line in build.splitlines()[1:2]:  # one of the objective, but for clm, which has none
        key, value = line.split(" = ")
        assert str(settings[key]) == value.strip('"')


def test_without_a_model_a_recipe_ends_with_its_examples(corpus, tmp_path):
    path = recipe_file(tmp_path, 'algorithm = "wordpiece"\nsize = 120', 'objective = "electra"')
    recipe = load_recipe(path, corpus=[str(corpus)])
    steps: list[Step] = []

    assert recipe.pretrain is None
    assert recipe.build.valid == 0
    assert run_recipe(recipe, tmp_path / "out", workers=1, on_step=steps.append) == {}
    assert [step.name for step in steps] == ["vocab", "build"]
    assert len(Dataset(tmp_path / "out" / "train")) > 0
    assert not (tmp_path / "out" / "valid").exists()


@pytest.mark.parametrize(
    ("vocab", "build", "model", "complaint"),
    [
        (
            'algorithm = "wordpiece"\nsize = 120', 'objective = "t5"', "t5-tiny",
            "objective t5 needs a vocabulary of family t5 or ul2, not bert; set family in [vocab]",
        ),
        (
            'algorithm = "wordpiece"\nsize = 120', 'objective = "clm"', "bert-tiny",
            "r.toml: the objective clm needs a model of kind decoder, not encoder. "
            "These fit: gpt-tiny",
        ),
        (
            'algorithm = "wordpiece"\nsize = 120', 'objective = "bilm"', "bert-tiny",
            "r.toml: the objective bilm needs a model of kind bi-lstm, not encoder",
        ),
        (
            'algorithm = "wordpiece"\nsize = 120', 'objective = "mlm"\nlength = 600', "bert-tiny",
            "sequences of 600 tokens do not fit the model's 512 positions",
        ),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_runs(tmp_path, vocab, build, model, complaint):
    path = tmp_path / "r.toml"
    path.write_text(f"[vocab]\n{vocab}\n[build]\n{build}\n{PRETRAIN.format(model)}")

    with pytest.raises(UsageError) as info:
        load_recipe(path)
    assert complaint in str(info.value)


def test_every_shipped_recipe_that_trains_can():
    recipes = [load_recipe(shipped.path) for shipped in shipped_recipes().values()]
    trained = {recipe.build.objective for recipe in recipes if recipe.pretrain}

    assert trained == set(MODEL_KINDS) - {"whole-word"}
