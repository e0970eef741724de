"""Figures that were kept in a file: of `lmprep evaluate --json`, of a recipe, of a fine-tuning.

[{"run": ..., "step": ..., "corrupted": {"cross_entropy": ...}, ...}, ...]     evaluate --json
{"fingerprint": ..., "figures": {...}}                                         evaluation.json
{"dev": {"accuracy": {"mean": 0.81, "sd": 0.01}}, "test": {...}}               finetune --json
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmprep.errors import InputError

EVALUATION = "evaluation.json"
"""Of a recipe, beside its run."""
FINETUNED = "results.json"
"""In the folder of a fine-tuning."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a file holds.

    Args:
        name: of the file or folder.
        evaluations: figures of `evaluation.evaluate`.
        finetuned: by split and metric, mean and sd; empty if the file is of evaluations.
    """

    name: str
    evaluations: tuple[dict[str, Any], ...] = ()
    finetuned: dict[str, dict[str, dict[str, float]]] | None = None


_GIVE_FIGURES = "Give what `lmprep evaluate --json` or `lmprep finetune --json` printed"


def read_results(path: Path, name: str) -> Results:
    """The figures in a file.

    Raises:
        InputError: it is none of the three.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(
            f"not valid JSON ({error})",
            path=path,
            fix=_GIVE_FIGURES,
        ) from None
    if isinstance(content, dict) and isinstance(content.get("figures"), dict):
        content = [content["figures"]]
    if _is_evaluations(content):
        return Results(name=name, evaluations=tuple(content))
    if isinstance(content, dict) and (finetuned := _finetuned(content)):
        return Results(name=name, finetuned=finetuned)
    raise InputError(
        "these are no figures of lmprep",
        path=path,
        fix=_GIVE_FIGURES,
    )


def _is_evaluations(content: Any) -> bool:
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(one, dict) and {"objective", "step"} <= set(one) for one in content)
    )


def _finetuned(content: dict[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Splits whose every metric has a mean; what else the file says is left out."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for split, metrics in content.items():
        if not isinstance(metrics, dict):
            continue
        means = {
            metric: value
            for metric, value in metrics.items()
            if isinstance(value, dict) and isinstance(value.get("mean"), int | float)
        }
        if means:
            found[split] = means
    return found


def spread(value: dict[str, float]) -> str:
    """`0.8125 ± 0.0103`: mean and standard deviation over seeds."""
    sd = value.get("sd")
    return f"{value['mean']:.4f}" + (f" ± {sd:.4f}" if sd is not None else "")
