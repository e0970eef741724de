"""Does a dataset go with a run? Asked before any work, when training and when evaluating."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmprep.errors import UsageError
from lmprep.models.settings import ModelSettings
from lmprep.shards.manifest import Manifest
from lmprep.shards.reader import Dataset

_TRAITS = {"tokenizer_sha256": "tokenizer", "objective": "objective", "pairs": "kind of pairs"}


def sequence_length(manifest: Manifest) -> int:
    """Tokens in a row of a dataset at most."""
    return int(manifest["settings"]["sequences"]["length"])


def traits(manifest: Manifest) -> dict[str, str]:
    """What all datasets of a run have in common; config.json of a run holds the same keys."""
    return {
        "tokenizer_sha256": manifest["tokenizer_sha256"],
        "objective": manifest["objective"],
        "pairs": manifest["settings"]["sequences"]["pairs"],
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


def check_length(dataset: Dataset, model: ModelSettings) -> None:
    """Raise `UsageError` if a dataset's sequences are longer than the model's positions."""
    if (length := sequence_length(dataset.manifest)) > model.max_length:
        raise UsageError(
            f"sequences of {length} tokens do not fit the model's {model.max_length} positions",
            path=dataset.folder,
            fix="Build shorter sequences, or train a model with a larger max_length",
        )
