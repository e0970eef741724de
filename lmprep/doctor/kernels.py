"""The cache of compiled kernels: where it is, and what is in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmprep.jit import cached_kernels, kernels_folder
from lmprep.ragged import Ragged

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class KernelCache:
    """The cache as it is.

    Args:
        folder: where it is.
        writable: whether kernels can be kept there.
        compiled, kernels: how many are in it, as this version needs them, and how many there are.
    """

    folder: Path
    writable: bool
    compiled: int
    kernels: int


def kernel_cache() -> KernelCache:
    """Look at the cache; nothing is compiled."""
    found = [
        there for module in _PACKAGE.rglob("*.py") for there in cached_kernels(module).values()
    ]
    folder = kernels_folder()
    return KernelCache(
        folder=folder, writable=_is_writable(folder), compiled=sum(found), kernels=len(found)
    )


def kernel_fault() -> str:
    """Run a kernel: what is wrong, or nothing."""
    try:
        rows = Ragged.from_rows([[3], [1, 4]], np.int32).take(np.array([1, 0]))
    except Exception as error:  # whatever numba or the compiler raises
        return f"no kernel can be compiled: {(str(error).splitlines() or [''])[0]}"
    if rows.values.tolist() != [1, 4, 3]:
        return f"a kernel computed {rows.values.tolist()} where it should be [1, 4, 3]"
    return ""


def _is_writable(folder: Path) -> bool:
    """Whether the folder, or what it will be made in, can be written to."""
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)
