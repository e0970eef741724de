"""The documentation of models shows what there is."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

import lmprep
from lmprep.models.construction import count_parameters, outline
from lmprep.models.hf import hf_class
from lmprep.models.hf.classes import CLASSES
from lmprep.models.settings import MODELS, ModelSettings, model_settings

PAGE = (Path(lmprep.__file__).parent / "docs" / "models.md").read_text(encoding="utf-8")
VOCABULARIES = {
    "bert": 30_522,
    "roberta": 50_265,
    "albert": 30_000,
    "distilbert": 30_522,
    "electra": 30_522,
    "gpt": 40_478,
    "gpt2": 50_257,
    "t5": 32_128,
    "t5v1.1": 32_128,
    "bart": 50_265,
    "elmo": 793_471,
}


def rows(section: str) -> dict[str, list[str]]:
    """The cells of a section's table by the first, which is in code marks."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `([^`]+)` \|(.*)\|$", text, flags=re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in found}


def test_every_named_model_is_in_the_table():
    assert list(rows("Sizes")) == list(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_the_table_of_sizes_is_right(name: str):
    settings = model_settings(name, vocabulary_size=VOCABULARIES[name.partition("-")[0]])
    shape = [settings.layers, settings.width, settings.heads, settings.feed_forward]
    narrow = str(settings.embedding_width) if settings.factorised else ""
    millions = f"{count_parameters(outline(settings)) / 1e6:.1f}"

    assert rows("Sizes")[name] == [*map(str, shape), narrow, millions]


def test_the_vocabularies_behind_the_counts_are_stated():
    stated = dict(re.findall(r"(\w+) ([0-9]+,[0-9]{3})", PAGE.split("\n## Sizes\n")[1]))

    assert stated.pop("T5") == "32,128"
    assert stated == {
        family: f"{size:,}" for family, size in VOCABULARIES.items() if not family.startswith("t5")
    }


def test_every_family_and_the_class_it_leaves_as_is_described():
    described = rows("Families")

    assert list(described) == list(VOCABULARIES)
    for name in MODELS:
        family = name.partition("-")[0]
        settings = model_settings(name, vocabulary_size=1000)
        if settings.kind == "bi-lstm":
            with pytest.raises(ValueError, match="no class of transformers"):
                hf_class(settings)
            assert described[family][-1] == "no class of transformers"
            continue
        for pairs in (True, False):
            assert f"`{hf_class(settings, pairs=pairs)}`" in described[family][-1]
    assert all(f"`{name}`" in PAGE for name in CLASSES)


def test_every_key_is_described_with_its_default():
    described = rows("Keys of a TOML file")
    keys = fields(ModelSettings)

    assert list(described) == ["base", *(field.name for field in keys)]
    for field in keys:
        expected = "" if field.default is MISSING else f"`{in_toml(field.default)}`"
        assert described[field.name][0] == expected


def in_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def test_every_choice_of_a_key_is_named():
    described = rows("Keys of a TOML file")
    for name in ("kind", "positions", "norm", "norm_place", "activation", "output"):
        with pytest.raises(ValueError, match="must be one of") as refused:
            ModelSettings(layers=1, width=8, heads=2, vocabulary_size=9, **{name: "?"})
        for choice in str(refused.value).split("must be one of ")[1].split(", "):
            assert f"`{choice}`" in described[name][1]
