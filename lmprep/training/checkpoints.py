"""Checkpoints that are whole or absent, and checked before they are trusted.

    RUN/checkpoints/step-500/model.safetensors
                             optimizer.safetensors
                             state.json    step, position, and bytes and SHA-256 of the other two

A checkpoint is written to a folder whose name starts with a dot, flushed to the disk and renamed;
the newest `KEPT` stay. Nothing is pickled: loading one runs no code of the file's.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from lmprep.errors import CheckpointError
from lmprep.files import canonical_json, file_sha256, json_sha256, sync_folder, sync_tree

FOLDER = "checkpoints"
KEPT = 2
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


def save(run: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and remove older ones; `KEPT` stay, this one among them."""
    parent = run / FOLDER
    parent.mkdir(exist_ok=True)
    step = checkpoint.state["step"]
    final = folder_of(run, step)
    temporary = parent / f".step-{step}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        _write(temporary, checkpoint)
        shutil.rmtree(final, ignore_errors=True)  # a damaged one that was trained past again
        temporary.rename(final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(parent)
    older = [other for other in steps(run) if other < step]
    for old in older[: 1 - KEPT]:
        shutil.rmtree(folder_of(run, old))
    return final


def discard_after(run: Path, step: int) -> None:
    """Remove the checkpoints of later steps: damaged ones, which will be trained anew."""
    for later in steps(run):
        if later > step:
            shutil.rmtree(folder_of(run, later))


def folder_of(run: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run / FOLDER / f"step-{step}"


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    files = {}
    for name, tensors in zip(_TENSOR_FILES, (checkpoint.model, checkpoint.optimizer), strict=True):
        path = folder / name
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path)
        files[name] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
    state = {**checkpoint.state, "files": files}
    (folder / _STATE).write_bytes(canonical_json({**state, "state_sha256": json_sha256(state)}))
    sync_tree(folder)


def steps(run: Path) -> list[int]:
    """Steps with a checkpoint, damaged ones too, rising."""
    names = [path.name for path in (run / FOLDER).glob("step-*")]
    return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))


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
    return Checkpoint(
        model=_read_tensors(folder / model, state["files"][model]),
        optimizer={}
        if model_only
        else _read_tensors(folder / optimizer, state["files"][optimizer]),
        state=state,
    )


def _read_tensors(path: Path, entry: Mapping[str, Any]) -> dict[str, Tensor]:
    _check_file(path, entry)
    # `load_file` maps the file into memory: without a copy, what happens to the file would happen
    # to the tensors.
    return {name: tensor.clone() for name, tensor in load_file(path).items()}


def _read_state(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise CheckpointError("there is no such checkpoint", path=folder)
    path = folder / _STATE
    try:
        state = json.loads(path.read_bytes())
        stated = state.pop("state_sha256")
    except (OSError, ValueError, AttributeError, KeyError):
        raise CheckpointError("the checkpoint has no readable state", path=path) from None
    if stated != json_sha256(state):
        raise CheckpointError("its checksum does not fit its content", path=path)
    return dict(state)


def _check_file(path: Path, entry: Mapping[str, Any]) -> None:
    if not path.is_file():
        raise CheckpointError("the file is missing", path=path)
    if path.stat().st_size != entry["bytes"]:
        raise CheckpointError(
            f"the file is damaged: {path.stat().st_size} bytes instead of {entry['bytes']}",
            path=path,
        )
    if file_sha256(path) != entry["sha256"]:
        raise CheckpointError("the file is damaged: its SHA-256 does not fit", path=path)


def clear_temporaries(run: Path) -> None:
    """Remove what a killed run left half written."""
    for path in (run / FOLDER).glob(".step-*.tmp"):
        shutil.rmtree(path, ignore_errors=True)
