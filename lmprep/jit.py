"""Compiled kernels: numba's `njit`, with a cache on disk that cannot go stale.

Numba's own cache notices changes of the file a function stands in, but not of functions it calls
and constants it takes from other files. So the cache folder carries a hash of every source file of
the package and of numba's version: `~/.cache/lmprep/kernels-HASH` (`LMPREP_CACHE_DIR` or
`XDG_CACHE_HOME` move it), which also serves installations that cannot be written to. Kernels
compile on first use, never at import, and the first compilation is announced once on stderr.
Folders that no process has used for a month go when a new one is made.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_UNUSED_SECONDS = 30 * 86400

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def cache_folder() -> Path:
    """The folder for lmprep's caches: `LMPREP_CACHE_DIR`, else `XDG_CACHE_HOME` or ~/.cache."""
    if explicit := os.environ.get("LMPREP_CACHE_DIR"):
        return Path(explicit)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lmprep"


def _kernel_folder() -> Path:
    digest = hashlib.sha256(numba.__version__.encode())
    package = Path(__file__).parent
    for source in sorted(package.rglob("*.py")):
        digest.update(source.relative_to(package).as_posix().encode() + source.read_bytes())
    return cache_folder() / f"kernels-{digest.hexdigest()[:16]}"


def _remove_unused(folder: Path) -> None:
    for other in folder.parent.glob("kernels-*"):
        with contextlib.suppress(OSError):
            if other != folder and time.time() - other.stat().st_mtime > _UNUSED_SECONDS:
                shutil.rmtree(other)


def _prepare() -> None:
    folder = _kernel_folder()
    if not folder.exists():
        try:
            folder.mkdir(parents=True)
        except OSError:  # a home that cannot be written: compile anew in every process
            folder = Path(tempfile.mkdtemp(prefix="lmprep-kernels-"))
        print("Compiling kernels, once after an install or upgrade ...", file=sys.stderr)
        _remove_unused(folder)
    with contextlib.suppress(OSError):
        os.utime(folder)  # in use
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]


_prepare()


def kernel(function: Kernel) -> Kernel:
    """Compile `function` on first use, cached on disk; it runs without the interpreter lock."""
    return cast(Kernel, numba.njit(nogil=True, cache=True)(function))


def inline_kernel(function: Kernel) -> Kernel:
    """As `kernel`, for small functions that should melt into their callers."""
    return cast(Kernel, numba.njit(nogil=True, cache=True, inline="always")(function))
