"""A training in a process of its own, which may be harmed in a way that needs its help."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor

from lmprep.cli import main
from lmprep.training import checkpoints
from lmprep.training.batch import Batch
from lmprep.training.data import StepData, TrainingData
from lmprep.training.steps import Updater
from tests.faults.small_disk import mount_small_disk


def train(
    command: Sequence[str],
    output: str,
    environment: Mapping[str, str],
    order: str,
    disk: Mapping[str, str | int] | None = None,
    slow: float = 0.0,
    broken: Sequence[int] = (),
) -> NoReturn:
    """Do a command of `lmprep` and leave with its exit code.

    Python's way out takes longer than the training: the memory it gives back, object by object, is
    that of the process we were forked from.

    Args:
        command: after the word `lmprep`.
        output: file that stdout and stderr are appended to.
        environment: on top of ours.
        order: file to which the batches of each step are noted.
        disk: `folder` is to be a file system of `bytes`; at the end it is copied to `copy`.
        slow: seconds that the disk takes for a file of tensors.
        broken: steps whose loss is not a number.
    """
    os.environ.update(environment)
    os.setpgid(0, 0)  # the group a terminal's Ctrl-C would go to
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _redirect(Path(output))
    _note_order(order)
    if slow:
        _slow_down(slow)
    if broken:
        _break_losses(broken)
    if disk:
        mount_small_disk(Path(str(disk["folder"])), int(disk["bytes"]))
    code = _exit_code(command)
    if disk:
        shutil.copytree(str(disk["folder"]), str(disk["copy"]))
    os._exit(code)


def _exit_code(command: Sequence[str]) -> int:
    try:
        main(command)
    except SystemExit as left:
        return int(left.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _redirect(output: Path) -> None:
    with output.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=True)  # type: ignore[union-attr]


def _note_order(path: str) -> None:
    """Note `POSITION BIN HASH` of every bin that is made, those of a step in one piece."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    make = TrainingData.step

    def noting(self: TrainingData, *arguments: Any, **named: Any) -> StepData:
        step = make(self, *arguments, **named)
        lines = [
            f"{step.first} {batch.row + number} {_content(batch, number)}\n"
            for batch in step.batches
            for number in range(len(batch.inputs.ids_BL))
        ]
        os.write(handle, "".join(lines).encode())
        return step

    TrainingData.step = noting  # type: ignore[method-assign]


def _content(batch: Batch, number: int) -> str:
    """A hash of one bin's ids, those of the decoder behind an encoder too."""
    inputs = batch.inputs
    asked = (inputs.ids_BL, inputs.decoder_ids_BK)
    content = b"".join(ids[number].numpy().tobytes() for ids in asked if ids is not None)
    return hashlib.sha256(content).hexdigest()


def _slow_down(seconds: float) -> None:
    write = checkpoints.write_tensors

    def slowly(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        time.sleep(seconds)
        return write(path, tensors)

    checkpoints.write_tensors = slowly


def _break_losses(broken: Sequence[int]) -> None:
    """Have the losses of some steps be no numbers, as after an overflow."""
    losses_of = Updater._losses

    def breaking(self: Updater, batch: Batch, step: int) -> Tensor:
        losses = losses_of(self, batch, step)
        return losses * float("nan") if step in broken else losses

    Updater._losses = breaking  # type: ignore[method-assign]
