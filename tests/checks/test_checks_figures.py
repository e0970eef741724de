"""The figures of a dataset equal what slow loops over its rows find."""

from __future__ import annotations

import json
from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmprep
from lmprep.checks.histogram import Counts
from lmprep.checks.stats import dataset_stats
from tests.corpora import build_dataset, make_tokenizer, write_corpus

FAMILY = {"t5": "t5", "ul2": "ul2", "bart": "roberta", "clm": "gpt2"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Datasets by objective, made when first asked for."""
    folder = tmp_path_factory.mktemp("figures")
    corpus = write_corpus(folder / "corpus.txt", documents=25)

    def build(objective: str, name: str = "", **changes: object) -> Path:
        family = FAMILY.get(objective, "bert")
        tokenizer, out = folder / f"vocabulary-{family}", folder / (name or objective)
        if not tokenizer.exists():
            make_tokenizer(corpus, tokenizer, family=family)
        if not out.exists():
            build_dataset(corpus, tokenizer, out, objective=objective, **changes)
        return out

    return build


def rows_of(folder: Path) -> list[dict]:
    """Every row of copy 0 as lists and numbers."""
    dataset = lmprep.load(folder)
    columns = dataset.rows(np.arange(len(dataset)))
    return [
        {name: np.asarray(column[i]).tolist() for name, column in columns.items()}
        for i in range(len(dataset))
    ]


def test_lengths_documents_and_padding(made):
    folder = made("mlm", pairs="none")
    rows, stats = rows_of(folder), dataset_stats(folder)
    lengths = [len(row["input_ids"]) for row in rows]

    assert stats["rows"] == len(rows)
    assert stats["tokens"] == sum(lengths)
    assert stats["lengths"]["histogram"] == dict(sorted(Counter(lengths).items()))
    assert stats["lengths"]["p50"] == sorted(lengths)[(len(lengths) - 1) // 2]
    assert stats["lengths"]["mean"] == pytest.approx(np.mean(lengths))
    assert stats["padding_share"] == pytest.approx(1 - sum(lengths) / (48 * len(rows)))
    assert stats["documents"] == {"read": 25, "in_rows": len({row["document"] for row in rows})}
    assert json.loads(json.dumps(stats))["rows"] == len(rows)


@pytest.mark.parametrize("objective", ["mlm", "whole-word", "span", "infoword"])
def test_masked_tokens(made, objective):
    folder = made(objective, f"{objective}-none", pairs="none", mask_rate="0.2")
    rows, stats = rows_of(folder), dataset_stats(folder)
    treatments, wanted, runs = Counter(), 0, Counter()
    for row in rows:
        for position, label in zip(row["masked_positions"], row["masked_labels"], strict=True):
            found = row["input_ids"][position]
            treatments["masked" if found == 4 else "kept" if found == label else "random"] += 1
        n = len(row["input_ids"])
        inside = sum(row["span_lengths"]) if objective == "infoword" else 0
        wanted += inside + min(n - 2 - inside, max(1, round(n / 5)))
        chosen = [position in row["masked_positions"] for position in range(n)]
        if objective in ("span", "infoword"):
            runs.update(row["span_lengths"])
        else:
            runs.update(len(list(run)) for flag, run in groupby(chosen) if flag)
    masked = sum(treatments.values())

    assert stats["masking"]["wanted"] == wanted
    assert stats["masking"]["shortfall"] == wanted - masked
    assert stats["masking"]["rate"] == pytest.approx(masked / stats["tokens"])
    for name, count in treatments.items():
        assert stats["masking"][name] == pytest.approx(count / masked)
    assert stats["spans"]["histogram"] == dict(sorted(runs.items()))


def test_words_too_long_for_the_rate_leave_a_shortfall(tmp_path):
    corpus = write_corpus(tmp_path / "corpus.txt", documents=25)
    letters = make_tokenizer(corpus, tmp_path / "letters", size=50)
    folder = build_dataset(
        corpus, letters, tmp_path / "out", objective="whole-word", pairs="none", length=16
    )
    masking = dataset_stats(folder)["masking"]
    found = sum(len(row["masked_positions"]) for row in rows_of(folder))

    assert masking["shortfall"] == masking["wanted"] - found
    assert masking["shortfall"] > 0


@pytest.mark.parametrize(("pairs", "label"), [("nsp", "next_sentence"), ("sop", "sentence_order")])
def test_the_balance_of_pairs_and_what_was_dropped(made, pairs, label):
    folder = made("mlm", pairs, pairs=pairs)
    rows, stats = rows_of(folder), dataset_stats(folder)
    counts = Counter(row[f"{label}_label"] for row in rows)

    assert stats["labels"] == {
        f"{label}_label": {value: counts[value] / len(rows) for value in sorted(counts)}
    }
    assert len(counts) == 2
    documents = {row["document"] for row in rows} | {row["second_document"] for row in rows}
    assert stats["documents"]["in_rows"] == len(documents)
    assert stats["drops"] == json.loads((folder / "manifest.json").read_text())["drops"]
    assert stats["drops"]


def test_copies_are_counted_together_but_documents_once(made):
    one = dataset_stats(made("mlm", pairs="none"))
    three = dataset_stats(made("mlm", "three", pairs="none", copies=3))

    assert three["rows"] == 3 * one["rows"]
    assert three["masking"]["rate"] == one["masking"]["rate"]
    assert three["documents"] == one["documents"]


def runs_of(labels: list[int], sentinels: range) -> list[int]:
    """Tokens behind each sentinel, the end token left out."""
    bounds = [i for i, label in enumerate(labels) if label in sentinels] + [len(labels) - 1]
    return [b - a - 1 for a, b in pairwise(bounds) if b - a > 1]


@pytest.mark.parametrize("objective", ["t5", "ul2"])
def test_sentinels_and_the_spans_they_stand_for(made, objective):
    folder = made(objective)
    rows, stats = rows_of(folder), dataset_stats(folder)
    sentinels = range(110, 140)
    in_rows = Counter(sum(i in sentinels for i in row["input_ids"]) for row in rows)
    spans = Counter(n for row in rows for n in runs_of(row["labels"], sentinels))
    noise = sum(n * count for n, count in spans.items())

    assert stats["sentinels"]["histogram"] == dict(sorted(in_rows.items()))
    assert stats["sentinels"]["available"] == 30
    assert stats["spans"]["histogram"] == dict(sorted(spans.items()))
    assert stats["noise_rate"] == pytest.approx(noise / stats["tokens"])
    lengths = Counter(len(row["labels"]) for row in rows)
    assert stats["target_lengths"]["histogram"] == dict(sorted(lengths.items()))


def test_the_shares_of_the_denoisers_stand_beside_their_weights(made):
    folder = made("ul2", "weighted", weights="2,0,1,0,0,0,1")
    found = Counter(row["denoiser"] for row in rows_of(folder))
    shares = dataset_stats(folder)["denoisers"]

    assert [one["wanted"] for one in shares] == [0.5, 0, 0.25, 0, 0, 0, 0.25]
    assert [one["share"] for one in shares] == [found[i] / found.total() for i in range(7)]
    assert found[0] > 0


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        ("bert-style", lambda row: sum(a != b for a, b in zip(row["input_ids"], row["labels"]))),  # noqa: B905
        ("drop-tokens", lambda row: len(row["labels"]) - 1),
        ("prefix-lm", lambda row: len(row["labels"]) - 1),
        ("deshuffle", lambda row: 0),
    ],
)
def test_the_noise_of_targets_without_sentinels(made, noise, expected):
    folder = made("t5", noise, noise=noise)
    found = sum(expected(row) for row in rows_of(folder))

    assert dataset_stats(folder)["noise_rate"] == pytest.approx(
        found / dataset_stats(folder)["tokens"]
    )


def test_weights_are_counted_by_powers_of_two(made):
    folder = made("cooccurrence")
    weights = [row["weight"] for row in rows_of(folder)]
    stats = dataset_stats(folder)
    by_power = Counter(2.0 ** np.floor(np.log2(weight)) for weight in weights)

    assert stats["weights"]["histogram"] == dict(sorted(by_power.items()))
    assert stats["weights"]["sum"] == pytest.approx(sum(weights), rel=1e-6)
    assert stats["lengths"] == {}


@given(st.lists(st.lists(st.integers(0, 300)), min_size=1, max_size=5), st.floats(0.01, 1))
def test_counts_are_those_of_a_sorted_list(parts, share):
    counts = Counts()
    for part in parts:
        counts.add(np.array(part, np.int64))
    values = sorted(value for part in parts for value in part)

    assert counts.total == len(values)
    assert counts.sum == sum(values)
    assert counts.histogram() == dict(sorted(Counter(values).items()))
    if values:
        place = next(i for i in range(len(values)) if (i + 1) / len(values) >= share)
        assert counts.quantile((place + 0.5) / len(values)) == values[place]
    else:
        assert counts.summary() == {}
