"""The page on file formats has every key and every column of what is really written."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import lmprep
from lmprep.merge import merge
from lmprep.objective_settings import FORMS
from tests.corpora import build_dataset, make_tokenizer, write_corpus
from tests.pages import page, run, walk

PAGE = page("format")
# Records that have a page or a table of their own.
ELSEWHERE = {"settings.objective_settings", "drops", "totals"}


def rows_below(heading: str) -> list[list[str]]:
    """The rows of the table with this heading in its first cell."""
    table = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table, heading
    return [[cell.strip() for cell in row.strip("|").split(" | ")]
            for row in table[1].splitlines()]  # fmt: skip


def names_below(heading: str) -> set[str]:
    """What stands in backquotes in the first column of a table."""
    return {name for row in rows_below(heading) for name in re.findall(r"`([^`]+)`", row[0])}


def key_paths(value: Any, at: str = "") -> Iterator[str]:
    """`settings.seed`, `shards[].rows`: every key; a record is named too, a list of them is not."""
    if isinstance(value, dict):
        if at and not at.endswith("[]"):
            yield at
        if at not in ELSEWHERE:
            for name, each in value.items():
                yield from key_paths(each, f"{at}.{name}" if at else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for each in value:
            yield from key_paths(each, f"{at}[]")
    else:
        yield at


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets of all kinds, by name."""
    folder = tmp_path_factory.mktemp("format")
    corpus = write_corpus(folder / "corpus.txt", documents=8)
    for family in {form.families[0] for form in FORMS.values()}:
        make_tokenizer(corpus, folder / f"tok-{family}", family=family)
    for objective, form in FORMS.items():
        tok = folder / f"tok-{form.families[0]}"
        build_dataset(corpus, tok, folder / objective, objective=objective, pairs="none")
    bert = folder / "tok-bert"
    build_dataset(corpus, bert, folder / "nsp", objective="mlm", pairs="nsp")
    build_dataset(corpus, bert, folder / "sop", objective="mlm", pairs="sop")
    build_dataset(corpus, bert, folder / "packed", pairs="none", sequences="packed")
    build_dataset(
        corpus, folder / "tok-t5", folder / "drop-tokens", objective="t5", noise="drop-tokens"
    )
    other = write_corpus(folder / "other.txt", documents=8, seed=1)
    build_dataset(other, bert, folder / "mlm-too", objective="mlm", pairs="none")
    merge([folder / "mlm", folder / "mlm-too"], folder / "merged")
    return folder


def manifests(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*/manifest.json"))]


def test_every_key_of_a_manifest_is_on_the_page_and_no_other(folder):
    found = {key for manifest in manifests(folder) for key in key_paths(manifest)}
    records = {key for key in found if key.partition(".")[0] == "word_counts" and "." not in key}

    assert found - records == names_below("key")


def test_every_reason_for_a_drop_is_on_the_page(folder):
    found = {reason for manifest in manifests(folder) for reason in manifest["drops"]}

    assert len(found) >= 4
    assert found <= names_below("reason in `drops`")


def test_every_column_is_on_the_page_with_its_type_and_objectives(folder):
    kinds = {"list<item: uint16>": "list of", "list<item: bool>": "list of bool"}
    types: dict[str, set[str]] = {}
    having: dict[str, set[str]] = {}
    for manifest in folder.glob("*/manifest.json"):
        paper = json.loads(manifest.read_bytes())
        with pa.memory_map(str(manifest.parent / paper["shards"][0]["file"])) as source:
            for column in pa.ipc.open_stream(source).schema:
                shown = kinds.get(str(column.type), str(column.type))
                types.setdefault(column.name, set()).add(shown)
                if manifest.parent.name in FORMS:
                    having.setdefault(column.name, set()).add(paper["objective"])
    said = {row[0].strip("`"): row[1:] for row in rows_below("column")}

    assert set(said) == set(types)
    for name, (kind,) in types.items():
        stated, where, _ = said[name]
        assert stated.startswith(kind) if kind == "list of" else stated == kind, name
        named = set(re.split(r",? ", where)) & set(FORMS)
        if "all but" in where:
            assert having[name] == set(FORMS) - named, name
        elif named and "packed" not in where and "pairs" not in where:
            assert named - {"t5"} == having[name] - {"t5"}, name


@pytest.mark.parametrize("name", ["nsp", "t5"])
def test_columns_of_dense_rows_are_on_the_page(folder, monkeypatch, name):
    monkeypatch.chdir(folder)
    objective, tok, more = ("mlm", "bert", " --pairs nsp") if name == "nsp" else ("t5", "t5", "")
    build = f"lmprep build {objective} corpus.txt -t tok-{tok} -o dense-{name}"
    run(f"{build} --length 32 --dense{more}")
    (sentence,) = re.findall(r"^`--dense` stores.*", PAGE, re.MULTILINE)
    paper = json.loads((folder / f"dense-{name}" / "manifest.json").read_bytes())
    with pa.memory_map(str(folder / f"dense-{name}" / paper["shards"][0]["file"])) as source:
        columns = set(pa.ipc.open_stream(source).schema.names)

    assert columns - names_below("column") <= set(re.findall(r"`([a-z_]+)`", sentence))


def test_plan_and_receipts_have_the_keys_on_the_page(folder, monkeypatch):
    monkeypatch.chdir(folder)
    whole = "lmprep build mlm corpus.txt -t tok-bert -o part --length 32 --valid 20%"
    run(f"{whole} --task 0/2 --partition-size 1kB")
    (receipt,) = list((folder / "part" / "receipts").glob("*.json"))[:1]
    content = json.loads(receipt.read_bytes())
    part = content["train"]
    cells = " ".join(" ".join(row) for row in rows_below("key of a receipt"))
    stated = set(re.findall(r"`([^`]+)`", cells))

    assert {*content, *part, *part["about"]} == stated
    plan = json.loads((folder / "part" / "plan.json").read_bytes())
    assert set(plan) == names_below("key of plan.json")


def test_the_tokenizer_folder_is_the_one_on_the_page(folder):
    files = {path.name for tok in folder.glob("tok-*") for path in tok.iterdir()}
    training = json.loads((folder / "tok-bert" / "training.json").read_bytes())

    assert files == names_below("file of a tokenizer folder")
    assert set(training) == names_below("key of training.json")


def test_the_run_folder_is_the_one_on_the_page(folder, monkeypatch):
    monkeypatch.chdir(folder)
    run("lmprep pretrain nsp -o run --model bert-tiny --steps 2 --log-every 1 --eval nsp")
    checkpoint = folder / "run" / "checkpoints" / "step-2"
    metrics = (folder / "run" / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in metrics.splitlines()]
    recipe = tomllib.loads((folder / "run" / "recipe.toml").read_text())
    tables = {name for name in re.findall(r"`\[+([a-z]+)\]+`", PAGE)}

    files = {each.name for each in (folder / "run").iterdir()} - {"checkpoints"}
    assert files == {name.strip("/") for name in names_below("file of a run")} - {
        "checkpoints/step-N"
    }
    assert {each.name for each in checkpoint.iterdir()} == names_below("file of a checkpoint")
    assert set(json.loads((checkpoint / "state.json").read_bytes())) == names_below(
        "key of state.json"
    )
    assert set().union(*lines) == names_below("key of a line of metrics.jsonl")
    config = json.loads((folder / "run" / "config.json").read_bytes())
    assert set(config) == names_below("key of config.json") - {"noise"}
    assert set(recipe) == tables - {"teacher"}


def test_the_python_of_the_page_reads_a_shard(folder, tmp_path):
    (tmp_path / "OUT").symlink_to(folder / "nsp")

    assert walk(PAGE, tmp_path)["table"].num_rows == len(lmprep.load(folder / "nsp"))
