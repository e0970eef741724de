"""The card of a dataset: what the hub and `datasets` read of it, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from lmprep.shards.card import dataset_card
from lmprep.shards.reader import Dataset
from tests.corpora import build_dataset, make_tokenizer, write_corpus


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("card")
    corpus = write_corpus(folder / "corpus.txt", documents=20)
    make_tokenizer(corpus, folder / "tok")
    build_dataset(corpus, folder / "tok", folder / "out", pairs="none", valid="1/4")
    return folder / "out"


def header_of(card: str) -> dict:
    _, front, _ = card.split("---\n", 2)
    return yaml.safe_load(front)


def test_its_header_says_what_the_rows_are_for(out: Path):
    for folder, split in ((out, "train"), (out.parent / "out-valid", "validation")):
        header = header_of((folder / "README.md").read_text())

        assert header["task_categories"] == ["fill-mask"]
        assert header["size_categories"] == ["n<1K"]
        assert header["tags"] == ["lmprep", "mlm"]
        assert header["configs"][0]["data_files"] == [{"split": split, "path": "data-*.arrow"}]
        assert not {"language", "license"} & set(header)


def test_the_folder_loads_as_the_header_says(out: Path, tmp_path: Path):
    import datasets

    dataset = Dataset(out)
    (files,) = header_of((out / "README.md").read_text())["configs"][0]["data_files"]
    loaded = datasets.load_dataset(
        "arrow", data_files={files["split"]: str(out / files["path"])}, cache_dir=str(tmp_path)
    )

    stored = dataset.rows(np.arange(len(dataset)))["input_ids"]
    assert loaded["train"]["input_ids"][:] == [np.asarray(row).tolist() for row in stored]


def test_its_figures_are_those_of_the_manifest(out: Path):
    card = (out / "README.md").read_text()
    manifest = json.loads((out / "manifest.json").read_bytes())

    for name in ("rows", "tokens", "words"):
        assert f"| {name} | {manifest['totals'][name]:,} |" in card
    for reason, count in manifest["drops"].items():
        assert f"| {reason} | {count:,} |" in card
    assert "| corpus.txt |" in card
    assert "| objective_settings.mask_rate | 0.15 |" in card


@pytest.mark.parametrize(("rows", "size"), [(999, "n<1K"), (1000, "1K<n<10K"), (10**9, "n>1B")])
def test_sizes_are_those_of_the_hub(out: Path, rows: int, size: str):
    manifest = json.loads((out / "manifest.json").read_bytes())
    manifest["totals"]["rows"] = rows

    assert header_of(dataset_card(manifest))["size_categories"] == [size]


def test_hostile_names_stay_in_their_cells_and_many_inputs_are_counted(out: Path):
    manifest = json.loads((out / "manifest.json").read_bytes())
    manifest["inputs"] = [{"name": "a|b\n# c.txt", "bytes": 1}] * 25
    card = dataset_card(manifest)

    assert card.count("| a\\|b # c.txt | 1 |\n") == 20
    assert "| and 5 more |" in card
    assert "\n# c.txt" not in card
