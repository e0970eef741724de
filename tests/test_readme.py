"""What the README shows is what happens."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import lmprep
from lmprep.objective_settings import FORMS
from lmprep.settings import CorpusSettings, VocabSettings, settings_from
from lmprep.shipped import shipped_recipes
from lmprep.vocab import make_vocabulary

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    """A folder in which the README's worked example was run."""
    folder = tmp_path_factory.mktemp("readme")
    recipe = tomllib.loads((ROOT / "samples" / "bert-tiny.toml").read_text(encoding="utf-8"))
    settings = settings_from(VocabSettings, recipe["vocab"])
    tokenizer = folder / "runs" / "bert-tiny" / "tokenizer"
    tokenizer.parent.mkdir(parents=True)
    make_vocabulary([str(ROOT / "samples" / "corpus.txt")], tokenizer, settings, CorpusSettings())
    block = next(b for b in README.split("```sh\n")[1:] if b.startswith("printf")).split("```")[0]
    command = block.replace("  lmprep ", f"  {sys.executable} -m lmprep ")
    subprocess.run(["bash", "-c", command], cwd=folder, check=True, capture_output=True)
    return folder / "example"


def test_the_row_in_the_readme_is_the_row_on_disk(example):
    from tokenizers import Tokenizer

    tokens = Tokenizer.from_file(str(example / "tokenizer" / "tokenizer.json")).id_to_token
    row = {k: np.asarray(v[1]).tolist() for k, v in lmprep.load(example).rows(np.arange(2)).items()}
    labels = row["masked_labels"]
    text = " ".join(tokens(i) for i in row["input_ids"])

    assert f"`{text}`" in README
    assert f"Of its {len(row['input_ids'])} tokens {len(labels)} are to be predicted" in README
    for line in (
        f"| `masked_positions` | {' '.join(map(str, row['masked_positions']))} |",
        f"| `masked_labels` | {' '.join(map(str, labels))} "
        f"({' '.join(f'`{tokens(i)}`' for i in labels)}) |",
        f"| `first_segment_length` | {row['first_segment_length']} (",
        f"| `sentence_order_label` | {row['sentence_order_label']} (",
        f"| `document`, `first_sentence` | {row['document']}, {row['first_sentence']} |",
        f"| `second_document`, `second_sentence` | {row['second_document']}, "
        f"{row['second_sentence']} |",
    ):
        assert line in README
    begin = " ".join(map(str, row["input_ids"][:9]))
    assert f"| `input_ids` | {begin} " in README


def test_the_python_lines_of_the_readme_say_what_they_give(example, monkeypatch):
    code = README.split("```python\n")[1].split("```")[0]
    lines = [line.strip() for line in code.splitlines()]
    shape = next(line for line in lines if line.startswith('batch["input_ids"].shape'))
    pair = next(line for line in lines if line.startswith('batch["labels"]'))
    monkeypatch.chdir(example.parent)
    names: dict[str, object] = {}
    exec("\n".join(line for line in lines if not line.startswith("batch[")), names)

    assert str(eval(shape.split("#")[0], names)) == shape.split("#")[1].strip()
    first, second = (int(value) for value in eval(pair.split("#")[0], names))
    assert pair.split("# ")[1].startswith(f"{first}, and {second} where")


def test_the_readme_names_every_command_objective_and_recipe_and_no_others():
    from lmprep.cli import cli

    commands = {
        line.split()[1]
        for block in README.split("```sh\n")[1:]
        for line in block.split("```")[0].splitlines()
        if line.startswith("lmprep ")
    }

    assert commands <= set(cli.commands)
    for objective in FORMS:
        assert f"\n| `{objective}` | " in README
    assert f"`{' '.join(sorted(shipped_recipes()))}`" in " ".join(
        f"`{' '.join(sorted(names.split()))}`" for names in README.split("`")[1::2]
    )
    for name in cli.commands:
        assert f"\n| `{name}" in README
