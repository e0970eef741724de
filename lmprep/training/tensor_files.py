"""Tensors in safetensors files, hashed as they are written.

    8 bytes   length of the header, little-endian
    header    JSON: name -> dtype, shape, first and last byte within the data; blanks to 8 bytes
    data      the tensors row by row, little-endian, those of the widest numbers first

`safetensors` reads what is written here. It is not used for writing, since a checkpoint is written
while the training goes on: one pass for bytes and checksum, no copy, other threads not held up, and
what the disk says comes up as the `OSError` it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from lmprep.errors import CheckpointError
from lmprep.files import file_sha256

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
TAKE_ANOTHER = "Take another checkpoint of the run, which itself goes on from its last good one"
"""What to do about a damaged checkpoint."""
_PIECE = 1 << 24  # bytes hashed and written at once: little enough to stay in the cache between


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Write a file and flush it to the disk.

    Args:
        tensors: on the CPU; nobody changes them meanwhile.

    Returns:
        `bytes` and `sha256` of the file, as `read_tensors` wants them.

    Raises:
        OSError: the disk is full, or whatever else it says.
    """
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in _pieces(tensors):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}


def _pieces(tensors: Mapping[str, Tensor]) -> Iterator[memoryview]:
    # Widest first, so that each begins at a multiple of its numbers' size.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))
    yield memoryview(_header(ordered))
    for _, tensor in ordered:
        # numpy has no bfloat16.
        content = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
        for start in range(0, len(content), _PIECE):
            yield content[start : start + _PIECE]


def _header(ordered: list[tuple[str, Tensor]]) -> bytes:
    entries, end = {}, 0
    for name, tensor in ordered:
        start, end = end, end + tensor.nbytes
        entries[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def read_tensors(path: Path, entry: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a file, every byte checked.

    Args:
        entry: what `write_tensors` returned.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    _check(path, entry)
    # `load_file` maps the file into memory: without a copy, what happens to the file would happen
    # to the tensors.
    return {name: tensor.clone() for name, tensor in load_file(path).items()}


def _check(path: Path, entry: Mapping[str, Any]) -> None:
    if not path.is_file():
        raise CheckpointError("the file is missing", path=path, fix=TAKE_ANOTHER)
    if path.stat().st_size != entry["bytes"]:
        raise CheckpointError(
            f"the file is damaged: {path.stat().st_size} bytes instead of {entry['bytes']}",
            path=path,
            fix=TAKE_ANOTHER,
        )
    if file_sha256(path) != entry["sha256"]:
        raise CheckpointError(
            "the file is damaged: its SHA-256 does not fit", path=path, fix=TAKE_ANOTHER
        )
