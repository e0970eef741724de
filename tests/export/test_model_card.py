"""The model card: what it says is so, and the lines of Python in it run."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from lmprep.export import export
from lmprep.export.model_card import Facts, model_card
from lmprep.shards.manifest import read_manifest
from lmprep.training import run_folder
from tests.finished_runs import make_run

yaml = pytest.importorskip("yaml")
pytest.importorskip("transformers")


@pytest.fixture(scope="module", params=["bert", "bert-pairs", "gpt2", "t5", "bart"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run `run` and its export `a-model`."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp(request.param)
    export(make_run(folder, request.param), folder / "a-model")
    return folder


def card_of(folder: Path) -> str:
    return (folder / "a-model" / "README.md").read_text(encoding="utf-8")


def table_of(card: str, section: str) -> dict[str, str]:
    """First and second cell of every row in a section."""
    text = card.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| ([^|]+) \| ([^|]*) \|$", text, flags=re.MULTILINE))


def test_the_lines_of_python_run(folder: Path, monkeypatch: pytest.MonkeyPatch):
    code = card_of(folder).split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(folder / "a-model")
    printed, names = io.StringIO(), dict[str, Any]()
    torch.manual_seed(0)
    with contextlib.redirect_stdout(printed):
        exec(code, names)

    assert printed.getvalue().strip()
    assert names["model"].config.architectures[0] in card_of(folder)
    if "text-generation" in card_of(folder):  # what is to be continued does not end
        assert names["inputs"].input_ids[0, -1] != names["tokenizer"].eos_token_id


def test_the_front_matter_is_what_the_hub_reads(folder: Path):
    _, front, _ = card_of(folder).split("---\n", 2)
    matter = yaml.safe_load(front)
    kind = json.loads((folder / "run" / "config.json").read_bytes())["model"]["kind"]

    assert matter["library_name"] == "transformers"
    assert matter["tags"][0] == "lmprep"
    assert not {"language", "license"} & set(matter)
    pipelines = {"encoder": "fill-mask", "decoder": "text-generation", "encoder-decoder": None}
    assert matter.get("pipeline_tag") == pipelines[kind]
    assert matter["metrics"] == ["perplexity", "accuracy"]
    assert "base_model" not in matter  # none of the hub was used


def test_only_what_came_from_the_hub_is_a_base_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from huggingface_hub import constants

    cached = tmp_path / "models--owner--some-bert"
    (cached / "snapshots" / "f00").mkdir(parents=True)
    (cached / "snapshots" / "f00" / "config.json").touch()
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("f00")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    recipe = run_folder.read_recipe(folder / "run")

    for origin, shown in (("owner/some-bert", "owner/some-bert"), ("runs/gone", None)):
        changed = {**recipe, "pretrain": {**recipe["pretrain"], "init": origin}}
        monkeypatch.setattr(run_folder, "read_recipe", lambda _, recipe=changed: recipe)
        facts = Facts(
            name="m", class_name="BertForMaskedLM", model_type="bert", step=1, parameters=1,
            left_out=(),
        )  # fmt: skip
        _, front, _ = model_card(folder / "run", facts).split("---\n", 2)
        assert yaml.safe_load(front).get("base_model") == shown


def test_data_settings_shape_and_figures_are_those_of_the_run(folder: Path):
    card, recipe = card_of(folder), run_folder.read_recipe(folder / "run")
    manifest = read_manifest(folder / "train")
    totals = manifest["totals"]

    assert card.count("# a-model\n") == 1
    data = (manifest["documents"], totals["rows"], totals["tokens"])
    counts = " | ".join(f"{count:,}" for count in data)
    assert f"| train | {counts} | corpus.txt | {manifest['manifest_sha256']} |" in card
    assert manifest["tokenizer_sha256"] in card
    training = table_of(card, "Training")
    for name, value in recipe["pretrain"].items():
        assert training[name] == (str(value) if value not in ([], "") else "none")
    assert training["tokens seen"] == "4,321"
    assert training["fingerprint of the run"] == run_folder.fingerprint(recipe)
    shape = table_of(card, "Shape")
    assert {name: shape[name] for name in recipe["model"]} == {
        name: str(value) for name, value in recipe["model"].items()
    }
    # Of the checkpoint's step, not of a later one.
    assert table_of(card, "Held-out figures")["token loss"] == "2.2500"


def test_a_dataset_that_is_gone_or_another_one_now_is_told_by_its_hash_alone(tmp_path: Path):
    run = make_run(tmp_path, "bert")
    sha256 = run_folder.read_recipe(run)["datasets"][0]["sha256"]
    recipe = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(recipe.replace(sha256, "0" * 64))
    export(run, tmp_path / "a-model")
    assert f"| train | ? | ? | ? | (no longer at hand) | {'0' * 64} |" in card_of(tmp_path)

    (run / "recipe.toml").write_text(recipe)
    shutil.move(tmp_path / "train", tmp_path / "elsewhere")
    export(run, tmp_path / "a-model", force=True)
    assert f"| train | ? | ? | ? | (no longer at hand) | {sha256} |" in card_of(tmp_path)


def test_a_bar_in_a_name_does_not_end_its_cell():
    from lmprep.cards import table

    assert table(("a",), [("x|y\nz",)]).splitlines()[-1] == r"| x\|y z |"


def test_what_it_began_from_and_what_is_left_out_are_told(tmp_path: Path):
    run = make_run(tmp_path, "bert", objective="span", span_boundary=4)
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("[pretrain]\n", '[pretrain]\ninit = "b|c"\n'))
    export(run, tmp_path / "a-model")

    assert "begun from the weights of `b|c`" in card_of(tmp_path)
    assert "Its span-boundary head is not part of this class" in card_of(tmp_path)
