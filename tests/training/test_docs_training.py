"""The figures on the page on training are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import lmprep
from lmprep.models.settings import model_settings
from lmprep.pretrain_settings import SCHEDULES, PretrainSettings
from lmprep.training.guard import LEAST, WINDOW
from lmprep.training.schedules import learning_rate
from lmprep.training.throughput import Work, datasheet_peak, flops_of

PAGE = (Path(lmprep.__file__).parent / "docs" / "training.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table with a heading that begins so."""
    table = PAGE[PAGE.index(f"| {heading}") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_the_table_of_schedules_shows_their_rates():
    heading, _, *lines = rows("`--schedule`")
    places = [float(cell.removeprefix("at ")) for cell in heading[1:-1]]

    assert [line[0].strip("`") for line in lines] == list(SCHEDULES)
    for name, *shown, _ in lines:
        settings = PretrainSettings(model="bert-tiny", steps=1, schedule=name.strip("`"))
        found = [learning_rate(settings, 1.0, place) for place in places]
        assert [f"{rate:.3g}" for rate in found] == shown or [round(rate, 3) for rate in found] == [
            float(rate) for rate in shown
        ]


@pytest.mark.parametrize("line", rows("model | tokens")[2:])
def test_the_table_of_flops_shows_what_is_counted(line):
    name, length, flops = line[0].strip("`"), int(line[1]), float(line[2].split()[0])
    share, vocabulary = (1, 50_257) if name.startswith("gpt2") else (0.15, 30_522)
    tokens = 100 * length
    work = Work(tokens=tokens, squares=tokens * length, scored=round(share * tokens))
    found = flops_of(model_settings(name, vocabulary_size=vocabulary), work) / tokens

    assert round(found / 1e6) == flops


def test_the_limits_on_the_page_are_the_defaults():
    settings = PretrainSettings(model="bert-tiny", steps=1)
    assert f"more than `spike` ({settings.spike:g}) standard deviations" in PAGE
    assert f"last {WINDOW} losses" in PAGE
    assert f"before {LEAST} of them" in PAGE
    assert f"after `skips` ({settings.skips}) in a row" in PAGE
    h200 = datasheet_peak("NVIDIA H200", torch.bfloat16)
    assert h200 is not None
    assert f"{h200.flops / 1e12:g} TFLOP/s for bf16 on an H200" in PAGE
    assert re.search(r"peak defaults to 5e-4, or 1e-4 for models 768 wide", PAGE)
