"""`lmprep build OBJECTIVE`: flags read off the settings records, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import pytest

from lmprep.cli import cli
from lmprep.objective_settings import FORMS
from lmprep.settings import FAMILIES
from tests.corpora import make_tokenizer, write_corpus

# Another value for each setting; a new setting without one here fails the test that needs it.
CHANGED: dict[str, dict[str, str]] = {
    "mlm": {"mask_rate": "0.2", "mask_share": "0.7", "random_share": "0.2"},
    "ngram": {"ngram_max": "2"},
    "span": {"span_p": "0.3", "span_max": "5"},
    "t5": {"noise": "replace-spans", "noise_density": "0.2", "final_sentinel": "True"},
    "bart": {
        "infill_rate": "0.2", "poisson_lambda": "3.5", "permute_rate": "0.5", "delete_rate": "0.1",
        "mask_rate": "0.1", "random_share": "0.1", "insert_rate": "0.1", "rotate_rate": "0.5",
    },
    "ul2": {"weights": "1,0,1,0,0,0,0"},
    "infoword": {"ngram_max": "3"},
    "skipgram": {"subsample": "0.001", "window": "3", "negatives": "2"},
    "cooccurrence": {"window": "4"},
}  # fmt: skip
for name in ("whole-word", "ngram", "span", "infoword"):
    CHANGED[name] = CHANGED["mlm"] | CHANGED.get(name, {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A corpus and a tokenizer of every family."""
    folder = tmp_path_factory.mktemp("objectives")
    corpus = write_corpus(folder / "corpus.txt", documents=9)
    for family in FAMILIES:
        make_tokenizer(corpus, folder / family, family=family)
    return folder


def plan(run, folder: Path, objective: str, *flags: object) -> dict:
    """The settings a build with these flags would have."""
    tokenizer = folder / FORMS[objective].families[0]
    ended = run(
        "build", objective, folder / "corpus.txt", "-t", tokenizer, "-o", "out",
        "--length", 48, "--dry-run", "--json", *flags,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert not Path("out").exists()
    return json.loads(ended.out)["settings"]


@pytest.mark.parametrize("objective", FORMS)
def test_every_setting_has_a_flag_that_changes_it(run, folder, objective):
    usual = plan(run, folder, objective)["objective_settings"]
    flags = []
    for name, value in CHANGED.get(objective, {}).items():
        flags += ["--" + name.replace("_", "-")] + ([] if value == "True" else [value])
    found = plan(run, folder, objective, *flags)["objective_settings"]
    names = {f.name for f in fields(FORMS[objective].settings)}

    assert names - {"mean_span_length"} == set(CHANGED.get(objective, {}))
    for name, value in CHANGED.get(objective, {}).items():
        assert str(found[name]) == value
        assert found[name] != usual[name]


def test_the_mean_span_length_of_t5(run, folder):
    found = plan(run, folder, "t5", "--mean-span-length", 5)

    assert found["objective_settings"]["mean_span_length"] == 5


@pytest.mark.parametrize("objective", FORMS)
def test_help_shows_the_flags_of_the_objective_with_their_defaults_and_no_others(run, objective):
    form = FORMS[objective]
    shown = " ".join(run("build", objective, "--help").out.split()).replace("- ", "-")
    own = {f.name: f for f in fields(form.settings)}
    others = {f.name for other in FORMS.values() for f in fields(other.settings)} - set(own)

    assert form.title in shown
    for name in own:
        value = getattr(form.settings(), name)
        default = f"{float(value):g}" if isinstance(value, Fraction) else str(value)
        flag = "--" + name.replace("_", "-")
        assert f"{flag} " in shown
        assert value is False or f"[default: {default}" in shown.split(f"{flag} ")[1]
    assert not any(f"--{name.replace('_', '-')} " in shown for name in others)
    assert f"special ones too. [default: {form.length}]" in shown
    assert ("--sequences [" in shown) == (len(form.sequences) > 1)
    assert ("--pairs [" in shown) == (len(form.pairs) > 1)


def test_the_list_of_objectives_has_their_titles(run):
    shown = " ".join(run("build", "--help").out.split())

    for objective, form in FORMS.items():
        assert f"{objective} {form.title}" in shown


@pytest.mark.parametrize(
    ("objective", "flags", "words"),
    [
        ("t5", ("--pairs", "nsp"), ("--pairs", "'nsp' is not 'none'")),
        ("clm", ("--pairs", "sop"), ("--pairs", "'sop' is not 'none'")),
        ("electra", ("--sequences", "packed"), ("--sequences", "'packed' is not 'document'")),
        ("span", ("--span-lambda", "3"), ("--span-lambda", "--span-max", "--span-p")),
        ("mlm", ("--span-p", "0.1"), ("--span-p",)),
        ("t5", ("--noise", "swap-spans"), ("swap-spans", "replace-spans")),
        ("bart", ("--poisson-lambda", "some"), ("--poisson-lambda", "some")),
        ("span", ("--span-p", "1.5"), ("--span-p", "1.5")),
    ],
)
def test_flags_that_an_objective_does_not_take(run, folder, objective, flags, words):
    corpus, tokenizer = folder / "corpus.txt", folder / FORMS[objective].families[0]
    ended = run("build", objective, corpus, "-t", tokenizer, "-o", "out", *flags)

    assert ended.code == 2
    assert all(word in ended.err for word in words)
    assert not Path("out").exists()


def test_the_environment_sets_defaults_for_all_objectives_or_one(run, folder, monkeypatch):
    monkeypatch.setenv("LMPREP_BUILD_SEED", "5")
    monkeypatch.setenv("LMPREP_BUILD_MASK_RATE", "0.2")
    monkeypatch.setenv("LMPREP_BUILD_WHOLE_WORD_SEED", "6")

    assert plan(run, folder, "mlm")["seed"] == 5
    assert plan(run, folder, "mlm")["objective_settings"]["mask_rate"] == "0.2"
    assert plan(run, folder, "whole-word")["seed"] == 6
    assert plan(run, folder, "whole-word", "--seed", 0)["seed"] == 0
    assert plan(run, folder, "clm")["objective_settings"] == {}


def test_the_environment_works_for_try_too(run, folder, monkeypatch):
    monkeypatch.setenv("LMPREP_TRY_LENGTH", "16")
    text = folder / "corpus.txt"
    rows = json.loads(run("try", "mlm", text, "-t", folder / "bert", "--json").out)

    assert max(len(row["tokens"]) for row in rows) == 16


def test_flags_shared_by_all_reach_the_settings(run, folder):
    settings = plan(
        run, folder, "mlm", "--seed", 3, "--copies", 2, "--valid", "25%", "--keep-order", "--pairs",
        "sop", "--short-sequence-probability", "0.3", "--partition-size", "5kB", "--dense",
    )  # fmt: skip

    assert settings["seed"] == 3
    assert settings["copies"] == 2
    assert settings["valid"] == "0.25"
    assert settings["keep_order"] is True
    assert settings["dense"] is True
    assert settings["partition_bytes"] == 5000
    assert settings["sequences"] == {
        "length": 48, "sequences": "document", "pairs": "sop", "short_sequence_probability": "0.3",
    }  # fmt: skip


def modules_loaded_by(*arguments: str) -> set[str]:
    code = (
        "import sys\nfrom lmprep.cli import cli\n"
        f"cli.main([*{arguments!r}], standalone_mode=False)\n"
        "print('MODULES', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split("MODULES")[1].split())


@pytest.mark.parametrize("arguments", [["build", "span", "--help"], ["try", "t5", "-h"]])
def test_help_loads_nothing_heavy(arguments):
    loaded = {name.split(".")[0] for name in modules_loaded_by(*arguments)}

    assert not loaded & {"numpy", "numba", "pyarrow", "torch", "tokenizers", "datasets", "rich"}


def test_the_first_help_loads_no_command_and_a_command_no_other():
    names = {f"lmprep.cli.{name}" for name in cli.commands}

    assert not modules_loaded_by("--help") & names
    assert modules_loaded_by("merge", "--help") & names == {"lmprep.cli.merge"}


def test_every_command_has_help_with_an_example(run):
    for name, command in cli.commands.items():
        assert f"lmprep {name}" in run(name, "--help").out
        assert command.get_short_help_str()
