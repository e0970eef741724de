"""Rows of a dataset as the data of a page: few enough to be carried, and spread over all of it.

A piece of text is carried once, under its id; a row is its ids, and a letter for the role of each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.checks.inspect import PREDICTED, Row, Token, explain, origin
from lmprep.checks.stored import describer_of, originals
from lmprep.report.elements import shown
from lmprep.shards.reader import Dataset

MOST_ROWS = 1000
"""Rows on a page at most."""

ROLES = {
    "text": "t",
    "special": "s",
    "sentinel": "e",
    "masked": "m",
    "random": "r",
    "kept": "k",
    "noise": "n",
}
"""The letter that stands for a role of `checks.inspect.ROLES`."""
_PREDICTED = "p"
"""The letter of a token of the original that is to be predicted."""

_MOST_CHARACTERS = 100  # of a token
_MOST_TOKENS = 5000  # of a row


def examples(folder: Path, most_bytes: int) -> dict[str, Any]:
    """Rows of the first copy, evenly spread.

    Args:
        most_bytes: of JSON, roughly.

    Returns:
        `total` rows there are; `rows`; `pieces`: text by id; `documents`: name by number;
        `predicted`: what rows are for, where they do not say it themselves.
    """
    dataset = Dataset(folder)
    chosen = _spread(len(dataset), min(MOST_ROWS, len(dataset)))
    carried = _carried(dataset, chosen)
    size = len(json.dumps(carried, ensure_ascii=False).encode())
    if size > most_bytes:
        fewer = len(chosen) * most_bytes // size
        carried = _carried(dataset, _spread(len(dataset), fewer))
    return {
        "total": len(dataset),
        "predicted": PREDICTED.get(dataset.manifest["objective"], ""),
        **carried,
    }


def _spread(total: int, count: int) -> NDArray[np.int64]:
    """Row numbers at equal distances, from the first on, int64 [count]."""
    return np.arange(count, dtype=np.int64) * total // max(1, count)


def _carried(dataset: Dataset, chosen: NDArray[np.int64]) -> dict[str, Any]:
    if not len(chosen):
        return {"rows": [], "pieces": {}, "documents": {}}
    columns = dataset.rows(chosen)
    describer = describer_of(dataset)
    before = originals(dataset, columns)
    pieces: dict[int, str] = {}
    documents: dict[int, str] = {}
    rows = []
    for i, row in enumerate(describer.rows(columns, chosen.tolist())):
        original = describer.tokens(before[i]) if before else []
        for token in (*row.inputs, *row.targets, *original):
            pieces.setdefault(token.id, shown(token.text, _MOST_CHARACTERS))
        found = [row.facts[n] for n in ("document", "second_document") if n in row.facts]
        documents |= {number: origin(number) for number in found}
        rows.append(_plain(row, found, original))
    return {"rows": rows, "pieces": pieces, "documents": documents}


def _plain(row: Row, documents: list[int], original: Sequence[Token]) -> dict[str, Any]:
    """A row as JSON has it; what is empty is left out.

    `was` says which tokens are to be predicted at their place, and what they are: with it the
    original follows from the inputs, and is not carried. Nor is it where the targets repeat it.
    """
    inputs = row.inputs[:_MOST_TOKENS]
    scored = [i for i, token in enumerate(inputs) if token.target is not None]
    said = [token.id for token in row.targets if token.role != "special"]
    repeats = bool(said) and said == [token.id for token in original]
    plain = {
        "number": row.number,
        "about": explain(row.facts),
        "documents": documents,
        "inputs": _stream(inputs),
        "was": {i: original[i].id for i in scored},
        "second": next((i for i, token in enumerate(inputs) if token.segment), 0),
        "begins": [i for i, token in enumerate(inputs) if token.begins],
        "targets": _stream(row.targets[:_MOST_TOKENS]) if row.targets else None,
        "original": None if scored or repeats else _original(row, original),
        "repeats": repeats,
        "cut": max(map(len, (row.inputs, row.targets, original))) > _MOST_TOKENS,
    }
    return {name: v for name, v in plain.items() if v or name in ("number", "inputs")}


def _stream(tokens: Sequence[Token]) -> dict[str, Any]:
    return {"ids": [t.id for t in tokens], "roles": "".join(ROLES[t.role] for t in tokens)}


def _original(row: Row, original: Sequence[Token]) -> dict[str, Any] | None:
    """The tokens before corruption, with a letter of its own for those behind sentinels."""
    if not original:
        return None
    hidden = behind_sentinels(row, len(original))
    letters = (_PREDICTED if i in hidden else ROLES[t.role] for i, t in enumerate(original))
    ids = [token.id for token in original[:_MOST_TOKENS]]
    return {"ids": ids, "roles": "".join(letters)[:_MOST_TOKENS]}


def behind_sentinels(row: Row, length: int) -> set[int]:
    """Places in the original, of `length` tokens, that sentinels of the inputs stand for.

    Empty where rows do not tell: they have no sentinels, or were shuffled.
    """
    runs: dict[int, int] = {}
    sentinel = None
    for token in row.targets:
        if token.role == "sentinel":
            sentinel = token.id
            runs[sentinel] = 0
        elif sentinel is not None and token.role == "text":
            runs[sentinel] += 1
    place, hidden = 0, set()
    for token in row.inputs:
        if token.role == "sentinel":
            run = runs.get(token.id, 0)
            hidden |= set(range(place, place + run))
            place += run
        elif token.role == "text":
            place += 1
    return hidden if place == length else set()
