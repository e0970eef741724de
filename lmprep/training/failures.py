"""What a training says that cannot go on, or was asked to stop."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from lmprep.errors import Interrupted, TrainingError
from lmprep.training import checkpoints


def diverged(run: Path, step: int, saved: int | None, name: str, value: float) -> TrainingError:
    """A number that must be finite is not.

    Args:
        saved: step of the last checkpoint, if there is one.
        name, value: of the number.
    """
    good = "there is no checkpoint before it"
    if saved is not None:
        good = f"the last good checkpoint is {checkpoints.folder_of(run, saved)}"
    return TrainingError(
        f"the {name} is {value} at step {step}; {good}",
        path=run,
        fix="Begin a new run with a lower --lr",
    )


def out_of_memory(run: Path, batch_tokens: int) -> TrainingError:
    """A batch does not fit the device."""
    return TrainingError(
        f"the memory of the device is too small for updates of {batch_tokens} tokens",
        path=run,
        fix="Begin a new run with a lower --batch-tokens",
    )


def stopped(kind: type[Interrupted], run: Path, step: int, datasets: Sequence[Path]) -> Interrupted:
    """A signal came, and a checkpoint of `step` is saved."""
    command = shlex.join(["lmprep", "pretrain", *map(str, datasets), "-o", str(run), "--resume"])
    return kind(
        f"{kind.__name__} after step {step}; everything is saved", fix=f"Go on with: {command}"
    )
