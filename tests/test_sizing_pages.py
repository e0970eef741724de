"""Sizing follows from the rates on its page, and the rates that can be checked quickly hold."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lmprep.models.settings import model_settings
from lmprep.training.throughput import Work, flops_of
from tests.corpora import build_dataset, make_tokenizer, write_corpus
from tests.pages import ROOT, page, walk

PAGE = page("sizing")
RATES = {
    name: float(value)
    for name, value in re.findall(r"^\| `([a-z0-9_]+)` \| ([\d.]+) \|", PAGE, re.MULTILINE)
}
SIZES = {"1 GB of text": 1e9, "1 TB of text": 1e12, "15 T tokens": 15e12 * RATES["text_per_token"]}


def table() -> dict[str, list[str]]:
    rows = re.findall(r"^\| ([^|]+) \| ([\d.,]+) \| ([\d.,]+) \| ([\d.,]+) \|$", PAGE, re.MULTILINE)
    return {name: cells for name, *cells in rows}


def expected(text: float) -> dict[str, float]:
    """What each row of the table must say of so many bytes of text."""
    tokens = text / RATES["text_per_token"]
    core_hours = text / (RATES["build"] * 1e6) / 3600
    gpu = RATES["peak"] * 1e12 * RATES["utilisation"] / 100 * 3600
    return {
        "text, GB": text / 1e9,
        "tokens, billions": tokens / 1e9,
        "`encode`, core-hours": text / (RATES["encode"] * 1e6) / 3600,
        "`build mlm`, core-hours": core_hours,
        f"`build mlm`, hours with {RATES['workers']:.0f} workers": core_hours / RATES["workers"],
        "memory of these workers, GB": RATES["worker"] * RATES["workers"] / 1e3,
        "shards of `mlm`, GB": tokens * RATES["disk_mlm"] / 1e9,
        "shards of `clm`, GB": tokens * RATES["disk_clm"] / 1e9,
        "one pass of `bert-base`, GPU-hours": tokens * RATES["bert_base"] * 1e6 / gpu,
        "one pass of `gpt2-small`, GPU-hours": tokens * RATES["gpt2_small"] * 1e6 / gpu,
    }


def shown(value: float) -> float:
    """Three significant digits, as in the table."""
    return float(f"{value:.3g}")


def test_the_table_follows_from_the_rates():
    columns = [expected(size) for size in SIZES.values()]

    assert set(table()) == set(columns[0])
    for name, cells in table().items():
        stated = [float(cell.replace(",", "")) for cell in cells]
        assert stated == [shown(column[name]) for column in columns], name


def test_the_arithmetic_on_the_page_is_right(tmp_path: Path):
    walk(PAGE, tmp_path)


@pytest.mark.parametrize(
    ("rate", "model", "size", "length", "scored"),
    [("bert_base", "bert-base", 30_522, 128, 19), ("gpt2_small", "gpt2-small", 50_257, 1024, 1023)],
)
def test_the_flops_are_those_of_the_counter(rate, model, size, length, scored):
    work = Work(tokens=length, squares=length**2, scored=scored)
    flops = flops_of(model_settings(model, vocabulary_size=size), work)

    assert round(flops / length / 1e6) == RATES[rate]


@pytest.mark.parametrize(("objective", "family"), [("mlm", "bert"), ("clm", "gpt2")])
def test_shards_take_about_the_bytes_a_token_on_the_page(tmp_path, objective, family):
    corpus = write_corpus(tmp_path / "corpus.txt", documents=200)
    tokenizer = make_tokenizer(corpus, tmp_path / "tok", family=family)
    out = build_dataset(
        corpus, tokenizer, tmp_path / "out", objective=objective, pairs="none",
        sequences="packed", length=128 if objective == "mlm" else 1024, partition_bytes=10**6,
    )  # fmt: skip
    totals = json.loads((out / "manifest.json").read_bytes())["totals"]

    assert totals["bytes"] / totals["tokens"] == pytest.approx(RATES[f"disk_{objective}"], rel=0.1)


def test_the_benchmarks_that_pages_name_exist_and_know_the_flags():
    scripts = ROOT / "tests" / "benchmarks"
    text = page("performance") + PAGE
    named = re.findall(r"tests/benchmarks/([a-z_]+\.py)([^`\n]*)", text)
    others = re.findall(r"`([a-z_]+\.py)`", text)

    assert len(named) >= 8
    for name in others:
        assert name == "run_mlm.py" or (scripts / name).exists(), name
    for name, flags in named:
        source = (scripts / name).read_text(encoding="utf-8")
        assert all(f'"{flag}"' in source for flag in re.findall(r"--[a-z]+", flags)), name
