"""What a training says that cannot go on, or was asked to stop."""

from __future__ import annotations

import errno
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lmprep.errors import CheckpointError, Interrupted, TrainingError
from lmprep.training import checkpoints

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def diverged(run: Path, step: int, in_a_row: int, losses: Mapping[str, float]) -> TrainingError:
    """Too many steps in a row were left out.

    Args:
        in_a_row: how many.
        losses: of the last one.
    """
    why, fix = "their losses or gradients are far too high or no numbers", "with a lower --lr"
    if losses["grad_norm"] == 0:
        why, fix = "their losses have no gradient", "with --compile off, or a newer torch"
    return TrainingError(
        f"{in_a_row} steps in a row, up to step {step}, were skipped: {why} "
        f"(loss {losses['loss']:.4g}, norm of the gradient {losses['grad_norm']:.4g}); "
        f"{checkpoints.last_good(run)}",
        path=run,
        fix=f"Begin a new run {fix}",
    )


def refuse_not_finite(run: Path, step: int, figures: Mapping[str, float]) -> None:
    """Raise `TrainingError` if a number of a validation is infinite or none."""
    for name, value in figures.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"the validation's {name} is {value} at step {step}; {checkpoints.last_good(run)}",
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
    """A signal came while `step` was the last one done."""
    command = shlex.join(["lmprep", "pretrain", *map(str, datasets), "-o", str(run), "--resume"])
    saved = "everything is saved" if step in checkpoints.steps(run) else checkpoints.last_good(run)
    return kind(f"{kind.__name__} after step {step}; {saved}", fix=f"Go on with: {command}")


@contextmanager
def full_disk_explained(run: Path) -> Iterator[None]:
    """Say how to go on when anything of a run does not fit the disk: metrics as well."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise CheckpointError(
            f"{error.strerror}; {checkpoints.last_good(run)}",
            path=error.filename or run,
            fix=checkpoints.FREE_SPACE,
        ) from error
