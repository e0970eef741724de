"""Does a dataset go with a run? Asked before any work, when training and when evaluating."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmprep.errors import UsageError
from lmprep.models.settings import ModelSettings
from lmprep.models.sizes import MODELS, named_shape
from lmprep.objectives import stored_objective
from lmprep.shards.manifest import Manifest
from lmprep.shards.reader import Dataset
from lmprep.training.tasks import MODEL_KINDS, Task, task_of

_TRAITS = {
    "tokenizer_sha256": "tokenizer",
    "objective": "objective",
    "noise": "noise",
    "pairs": "kind of pairs",
}
_ROWS_AT_ONCE = 1 << 20


def traits(manifest: Manifest) -> dict[str, str]:
    """What all datasets of a run have in common; config.json of a run holds the same keys."""
    settings = manifest["settings"]
    noise = settings["objective_settings"].get("noise")
    return {
        "tokenizer_sha256": manifest["tokenizer_sha256"],
        "objective": manifest["objective"],
        **({} if noise is None else {"noise": noise}),
        "pairs": settings["sequences"]["pairs"],
    }


def check_traits(dataset: Dataset, expected: Mapping[str, Any], folder: Path) -> None:
    """Raise `UsageError` unless a dataset has the traits of another one, or of a run.

    Args:
        expected: at least the keys of `traits`.
        folder: where they come from.
    """
    for name, here in traits(dataset.manifest).items():
        if here != expected[name]:
            raise UsageError(
                f"its {_TRAITS[name]} is {here}, that of {folder} is {expected[name]}",
                path=dataset.folder,
                fix="A run's datasets, held-out ones too, need the same tokenizer, objective and "
                "kind of pairs",
            )


def check_model(dataset: Dataset, model: ModelSettings) -> None:
    """Raise `UsageError` unless a model can learn from a dataset, or be scored on it."""
    task = task_of(dataset.manifest, dataset.folder)
    check_shape(model, task.objective, task.length, path=dataset.folder)
    limit = model.length_limit
    if limit is None or model.kind != "encoder-decoder":
        return
    if (longest := longest_target(dataset)) > limit:
        raise UsageError(
            f"targets of {longest} tokens do not fit the model's {limit} positions",
            path=dataset.folder,
            fix="Build shorter sequences, or train a model with a larger max_length",
        )


def check_shape(
    model: ModelSettings, objective: str, length: int, path: Path | None = None
) -> None:
    """Raise `UsageError` unless a model is of the kind an objective needs and takes its rows.

    Args:
        length: tokens in a row at most.
        path: of the dataset, if there is one.
    """
    kind = MODEL_KINDS[objective]
    if model.kind != kind:
        fitting = [n for n in MODELS if named_shape(n).get("kind", "encoder") == kind]
        raise UsageError(
            f"the objective {objective} needs a model of kind {kind}, not {model.kind}",
            path=path,
            fix=f"These fit: {', '.join(fitting)}",
        )
    if model.length_limit is not None and length > model.length_limit:
        raise UsageError(
            f"sequences of {length} tokens do not fit the model's {model.length_limit} positions",
            path=path,
            fix="Build shorter sequences, or train a model with a larger max_length",
        )


def longest_target(dataset: Dataset) -> int:
    """Tokens in the longest targets of an encoder-decoder, as stored."""
    longest = 0
    for start in range(0, len(dataset), _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(dataset)))
        longest = max(longest, int(dataset.row_lengths(rows, "labels").max()))
    return longest


def target_limit(datasets: Sequence[Dataset], task: Task) -> int:
    """Tokens in the targets of any row, however often it is corrupted anew; 0 without targets."""
    if task.model_kind != "encoder-decoder":
        return 0
    if task.whole_text:
        return max(map(longest_target, datasets))
    return max(map(_longest_drawn, datasets))


def _longest_drawn(dataset: Dataset) -> int:
    objective, settings = stored_objective(dataset.manifest)
    assert objective.longest_target is not None  # every encoder-decoder's has one
    length = task_of(dataset.manifest, dataset.folder).length
    return objective.longest_target(settings, dataset.vocabulary, length)
