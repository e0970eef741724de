"""Checkpoints that are whole or absent, and checked before they are trusted.

    RUN/checkpoints/step-500/model.safetensors
                             optimizer.safetensors
                             state.json    step, position, and bytes and SHA-256 of the other two

A checkpoint is written to a folder whose name starts with a dot, flushed to the disk and renamed;
only then older ones go, and those lose their name first: at every moment, every name `step-N` is
that of a whole checkpoint. Nothing is pickled: loading one runs no code of the file's.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lmprep.errors import CheckpointError
from lmprep.files import canonical_json, json_sha256, sync_folder, sync_tree
from lmprep.training.tensor_files import TAKE_ANOTHER, read_tensors, write_tensors

FOLDER = "checkpoints"
FREE_SPACE = "Free some space, then run the same command with --resume to go on from there"
_STATE = "state.json"
_TENSOR_FILES = ("model.safetensors", "optimizer.safetensors")
_NAME = re.compile(r"step-(\d+)")
_log = logging.getLogger("lmprep")


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """What a training is continued from.

    Args:
        model, optimizer: tensors by name; no optimizer where only the model was asked for.
        state: step, position and counters; JSON types only.
    """

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any]

    @property
    def bytes(self) -> int:
        """Of all tensors."""
        tensors = (*self.model.values(), *self.optimizer.values())
        return sum(tensor.nbytes for tensor in tensors)


def folder_of(run: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run / FOLDER / f"step-{step}"


def steps(run: Path) -> list[int]:
    """Steps with a checkpoint, damaged ones too, rising."""
    names = [path.name for path in (run / FOLDER).glob("step-*")]
    return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))


def last_good(run: Path) -> str:
    """The newest checkpoint in words, for errors; damaged later ones are gone by then."""
    existing = steps(run)
    if not existing:
        return "there is no checkpoint yet"
    return f"the last good checkpoint is {folder_of(run, existing[-1])}"


def save(
    run: Path, checkpoint: Checkpoint, keep_last: int = 2, keep_every: int | None = None
) -> Path:
    """Write a checkpoint whose tensors are on the CPU, then remove those no longer needed.

    Args:
        keep_last, keep_every: see `PretrainSettings`.

    Raises:
        CheckpointError: it cannot be written, say because the disk is full. Nothing is left of it.
    """
    step = checkpoint.state["step"]
    try:
        final = _write(run, checkpoint)
    except OSError as error:
        raise _unsaved(run, checkpoint, error) from error
    for old in _expendable(steps(run), step, keep_last, keep_every):
        _remove(folder_of(run, old))
    return final


def _write(run: Path, checkpoint: Checkpoint) -> Path:
    parent, step = run / FOLDER, checkpoint.state["step"]
    if not parent.exists():
        parent.mkdir()
        sync_folder(run)
    temporary = parent / f".step-{step}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    final = folder_of(run, step)
    try:
        temporary.mkdir()
        _write_files(temporary, checkpoint)
        if final.exists():
            _remove(final)
        temporary.rename(final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(parent)
    return final


def _write_files(folder: Path, checkpoint: Checkpoint) -> None:
    contents = (checkpoint.model, checkpoint.optimizer)
    files = {
        name: write_tensors(folder / name, tensors)
        for name, tensors in zip(_TENSOR_FILES, contents, strict=True)
    }
    state = {**checkpoint.state, "files": files}
    (folder / _STATE).write_bytes(canonical_json({**state, "state_sha256": json_sha256(state)}))
    sync_tree(folder)


def _unsaved(run: Path, checkpoint: Checkpoint, error: OSError) -> CheckpointError:
    """The error of a checkpoint that could not be written; what was written of it is gone."""
    free = shutil.disk_usage(run).free
    return CheckpointError(
        f"the checkpoint of step {checkpoint.state['step']} could not be written "
        f"({error.strerror or error}): it takes {checkpoint.bytes / 1e6:,.1f} MB, and "
        f"{free / 1e6:,.1f} MB are free; {last_good(run)}",
        path=run / FOLDER,
        fix=FREE_SPACE,
    )


def _expendable(
    existing: list[int], step: int, keep_last: int, keep_every: int | None
) -> list[int]:
    """Which steps before `step` need no checkpoint any more, now that `step` has one.

    For good stays the first at or after each multiple of `keep_every`.
    """
    kept = {step} | {s for s in existing if s > step}
    earlier = [s for s in existing if s < step]
    kept.update(earlier[len(earlier) - min(len(earlier), keep_last - 1) :])
    if keep_every is not None:
        # Of equal keys the last one stays, hence from the newest to the oldest.
        firsts = {s // keep_every: s for s in reversed(existing)}
        kept.update(s for multiple, s in firsts.items() if multiple > 0)
    return [s for s in existing if s not in kept]


def _remove(folder: Path) -> None:
    """Remove a checkpoint; should we be killed over it, nothing half removed keeps its name."""
    doomed = folder.with_name(f".{folder.name}.old.{os.getpid()}.tmp")
    try:
        folder.rename(doomed)
        shutil.rmtree(doomed)
    except OSError as error:
        _log.warning("%s: cannot be removed (%s).", folder, error.strerror or error)


def discard_after(run: Path, step: int) -> None:
    """Remove the checkpoints of later steps: damaged ones, which will be trained anew."""
    for later in steps(run):
        if later > step:
            _remove(folder_of(run, later))


def clear_temporaries(run: Path) -> None:
    """Remove what a killed run left half written or half removed."""
    for path in (run / FOLDER).glob(".step-*.tmp"):
        shutil.rmtree(path, ignore_errors=True)


def load_newest(run: Path, *, model_only: bool = False) -> Checkpoint | None:
    """The newest intact checkpoint, or None when the run has none at all.

    A damaged one is named in a warning and the one before it is taken.

    Raises:
        CheckpointError: there are checkpoints, and all are damaged.
    """
    existing = steps(run)
    for step in reversed(existing):
        try:
            return load(run, step, model_only=model_only)
        except CheckpointError as error:
            _log.warning("%s Trying the one before it.", error)
    if existing:
        raise CheckpointError(
            "no checkpoint of this run is intact",
            path=run / FOLDER,
            fix="Start over with another -o",
        )
    return None


def load(run: Path, step: int, *, model_only: bool = False) -> Checkpoint:
    """The checkpoint of one step, every byte that is read checked.

    Args:
        model_only: leave the optimizer's file, twice as large, unread.

    Raises:
        CheckpointError: it is absent, incomplete or damaged.
    """
    folder = folder_of(run, step)
    state = _read_state(folder)
    model, optimizer = _TENSOR_FILES
    files = state["files"]
    return Checkpoint(
        model=read_tensors(folder / model, files[model]),
        optimizer={} if model_only else read_tensors(folder / optimizer, files[optimizer]),
        state=state,
    )


def _read_state(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise CheckpointError(
            "there is no such checkpoint",
            path=folder,
            fix="Give one of the folders under checkpoints/ of the run",
        )
    path = folder / _STATE
    try:
        state = json.loads(path.read_bytes())
        stated = state.pop("state_sha256")
    except (OSError, ValueError, AttributeError, KeyError):
        raise CheckpointError(
            "the checkpoint has no readable state", path=path, fix=TAKE_ANOTHER
        ) from None
    if stated != json_sha256(state):
        raise CheckpointError("its checksum does not fit its content", path=path, fix=TAKE_ANOTHER)
    return dict(state)
