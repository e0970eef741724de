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
from lmprep.files import canonical_json, file_sha256, json_sha256, sync_folder

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
        model, optimizer: tensors by name.
        state: step, position and counters; JSON types only.
    """

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any]


def save(run: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and remove all but the newest `KEPT`."""
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
    for old in sorted(steps(run))[:-KEPT]:
        shutil.rmtree(parent / f"step-{old}")
    return final


def folder_of(run: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run / FOLDER / f"step-{step}"


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    files = {}
    for name, tensors in zip(_TENSOR_FILES, (checkpoint.model, checkpoint.optimizer), strict=True):
        path = folder / name
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path)
        _flush(path)
        files[name] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
    state = {**checkpoint.state, "files": files}
    (folder / _STATE).write_bytes(canonical_json({**state, "state_sha256": json_sha256(state)}))
    _flush(folder / _STATE)
    sync_folder(folder)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def steps(run: Path) -> list[int]:
    """Steps with a checkpoint, damaged ones too, rising."""
    names = [path.name for path in (run / FOLDER).glob("step-*")]
    return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))


def load_newest(run: Path) -> Checkpoint | None:
    """The newest intact checkpoint, or None when the run has none at all.

    A damaged one is named in a warning and the one before it is taken.

    Raises:
        CheckpointError: there are checkpoints, and all are damaged.
    """
    existing = steps(run)
    for step in reversed(existing):
        try:
            return load(run, step)
        except CheckpointError as error:
            _log.warning("%s Trying the one before it.", error)
    if existing:
        raise CheckpointError(
            "no checkpoint of this run is intact",
            path=run / FOLDER,
            fix="Start over with another -o",
        )
    return None


def load(run: Path, step: int) -> Checkpoint:
    """The checkpoint of one step, every byte of it checked.

    Raises:
        CheckpointError: it is absent, incomplete or damaged.
    """
    folder = folder_of(run, step)
    state = _read_state(folder)
    for name in _TENSOR_FILES:
        _check_file(folder / name, state["files"][name])
    return Checkpoint(
        model=load_file(folder / _TENSOR_FILES[0]),
        optimizer=load_file(folder / _TENSOR_FILES[1]),
        state=state,
    )


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
