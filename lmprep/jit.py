"""Compiled kernels: numba's `njit`, with a cache on disk that cannot go stale.

Numba's own cache notices changes of the file a function stands in, but not of functions it calls
and constants it takes from other files. So the kernels of a module are cached in a folder named by
a hash of that module, of all modules of ours that it imports, directly or not, and of numba's
version: `~/.cache/lmprep/kernels/HASH` (`LMPREP_CACHE_DIR` or `XDG_CACHE_HOME` move it), which also
serves installations that cannot be written to. A cache that cannot be written to, as in a
container that was warmed before, is copied to a temporary folder.

Kernels compile on first use, never at import, and the first compilation is announced once on
stderr. A kernel that another process is compiling is waited for: workers that start together on an
empty cache share the work, and `ahead` starts processes for no other end. Folders that no process
has used for a month go when a new one is made.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import numba
from numba.core import event
from numba.core.caching import FunctionCache
from numba.core.registry import cpu_target

from lmprep.bare_compiler import BareCompiler, KeptKernels
from lmprep.locks import Lock

_LONGEST_WAIT = 60.0
"""Seconds to wait for a kernel that another process is compiling, before it is compiled here."""
_UNUSED_SECONDS = 30 * 86400
_PACKAGE = Path(__file__).parent
_KERNEL = re.compile(
    r"^@(?:bare_|bare_inner_|bare_melted_|melted_|float_)?kernel\ndef (\w+)", re.MULTILINE
)
_IMPORT = re.compile(r"^from lmprep\.?([\w.]*) import (?:\(([^)]*)\)|(.*))", re.MULTILINE)

Int: TypeAlias = Any
"""A whole number: int64 in a kernel, where Python has two kinds of them."""

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def cache_folder() -> Path:
    """The folder for lmprep's caches: `LMPREP_CACHE_DIR`, else `XDG_CACHE_HOME` or ~/.cache."""
    if explicit := os.environ.get("LMPREP_CACHE_DIR"):
        return Path(explicit)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lmprep"


def sources_of(module: Path) -> frozenset[Path]:
    """A module and the modules of lmprep that it imports, directly or through others."""
    found = {module}
    open_modules = [module]
    while open_modules:
        new = _imported_by(open_modules.pop()) - found
        found |= new
        open_modules += new
    return frozenset(found)


@cache
def _imported_by(module: Path) -> frozenset[Path]:
    """The modules of lmprep that a module names in its import statements."""
    names = []
    for package, bracketed, plain in _IMPORT.findall(_source(module)):
        base = _PACKAGE.joinpath(*filter(None, package.split(".")))
        names += [base, *(base / name for name in re.findall(r"\w+", bracketed or plain))]
    files = (f for name in names for f in (name.with_suffix(".py"), name / "__init__.py"))
    return frozenset(file for file in files if file.is_file())


@cache
def _source(module: Path) -> str:
    return module.read_text(encoding="utf-8")


def cached_kernels(module: Path) -> dict[str, bool]:
    """The kernels of a module by name, but for inlined ones, and whether each is in the cache."""
    folder = kernels_folder() / _digest(module)
    names = _KERNEL.findall(_source(module))
    return {name: any(folder.rglob(f"{module.stem}.{name}-*.nbi")) for name in names}


def kernels_folder() -> Path:
    """Where compiled kernels are kept, if it can be written to: a folder for each module."""
    return cache_folder() / "kernels"


@cache
def kernel_folder(module: Path) -> str:
    """Where the kernels of a module are cached, as numba wants to be told."""
    folder = _root() / _digest(module)
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)  # another process may have made it by now
        _remove_unused(folder.parent)
    with contextlib.suppress(OSError):
        os.utime(folder)  # in use
    return str(folder)


@cache
def _digest(module: Path) -> str:
    """What changes with every source that the kernels of a module are made of."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(sources_of(module)):
        digest.update(source.name.encode() + _source(source).encode())
    return digest.hexdigest()[:16]


@cache
def _root() -> Path:
    """The folder of all kernel folders; one that can be written to."""
    root = kernels_folder()
    with contextlib.suppress(OSError):
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            return root
    temporary = Path(tempfile.mkdtemp(prefix="lmprep-kernels-"))
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    with contextlib.suppress(OSError):
        shutil.copytree(root, temporary, dirs_exist_ok=True)
    return temporary


@cache
def _remove_unused(root: Path) -> None:
    for folder in root.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _UNUSED_SECONDS:
                shutil.rmtree(folder)


class _Compiling(event.Listener):
    """Says once that kernels are being compiled, as it takes some seconds.

    Meanwhile nothing looks for garbage among the millions of objects of a compiler, which takes a
    tenth of the time.
    """

    def __init__(self) -> None:
        self._announced = False
        self._depth = 0  # a kernel is compiled while one that calls it is
        self._collects = False

    def on_start(self, _event: object) -> None:
        if self._depth == 0:
            self._collects = gc.isenabled()
            gc.disable()
        self._depth += 1
        self.announce()

    def on_end(self, _event: object) -> None:
        self._depth -= 1
        if self._depth == 0 and self._collects:
            gc.enable()

    def announce(self) -> None:
        """Say it, unless that was done before."""
        if self._announced:
            return
        self._announced = True
        if os.environ.get("LMPREP_VERBOSITY", "").startswith("-"):  # quiet
            return
        line = "Compiling kernels, once after an install or upgrade ..."
        if os.environ.get("LMPREP_LOG_FORMAT") == "json":  # as `cli.log` says it
            line = json.dumps({"level": "info", "message": line})
        print(line, file=sys.stderr)


_COMPILING = _Compiling()
event.register("numba:compile", _COMPILING)


class _SharedCache(FunctionCache):
    """The compiled forms of one kernel on disk, each compiled by one process while others wait.

    A kernel is locked before those that it calls, never the other way round, so that no two
    processes wait for each other.
    """

    _impl_class = KeptKernels

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._lock = Lock(Path(self._cache_path, f"{self._impl.filename_base}.lock"))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What is on disk for a signature; None says that this process has to compile it now."""
        found = super().load_overload(sig, target_context)
        if found is not None or self._lock.is_held:
            return found
        if not self._lock.take():
            _COMPILING.announce()
            self._lock.take(_LONGEST_WAIT)
        # Another process may have compiled it meanwhile.
        found = super().load_overload(sig, target_context)
        if found is not None:
            self._lock.free()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled."""
        try:
            super().save_overload(sig, data)
        finally:
            self._lock.free()


def _compiled(function: Kernel, **options: Any) -> Kernel:
    # Numba asks for its folder when a cache is made.
    numba.config.CACHE_DIR = kernel_folder(Path(function.__code__.co_filename))  # type: ignore[attr-defined]
    # Nothing takes a kernel for a function of C.
    options["no_cfunc_wrapper"] = True
    if options.get("_nrt") is False:
        options["pipeline_class"] = BareCompiler
    dispatcher: Any = numba.njit(nogil=True, **options)(function)
    dispatcher._cache = _SharedCache(function)
    return cast(Kernel, dispatcher)


def start_compiler() -> None:
    """Load what numba compiles with, as the first kernel would: most of a second."""
    target: Any = cpu_target
    target.typing_context.refresh()
    target.target_context.refresh()


def compile_for(kernel: Callable[..., Any], *arguments: Any) -> None:
    """Compile a kernel for arguments like these, without a call: an inner one may be given, too."""
    typeof: Any = numba.typeof
    cast(Any, kernel).compile(tuple(typeof(argument) for argument in arguments))


def kernel(function: Kernel) -> Kernel:
    """Compile `function` on first use, cached on disk; it runs without the interpreter lock."""
    return _compiled(function)


def bare_kernel(function: Kernel) -> Kernel:
    """As `kernel`, without counting references: for all functions that make no arrays.

    A kernel counts references to each array of a record that it looks at, with atomic operations
    that cost more than the work on a word of a few bytes. A bare kernel can neither make arrays nor
    call kernels that do (numba compiles what it calls in the same way), and compiles sooner.
    """
    return _compiled(function, _nrt=False)


def float_kernel(function: Kernel) -> Kernel:
    """As `kernel`, free to add up floats in another order, as vector instructions want it.

    The same machine gives the same bits every time; another processor may give others. A division
    by zero gives infinity, as numpy's does: a check of each divisor would cost those instructions.
    """
    return _compiled(function, fastmath={"reassoc", "nsz", "contract", "arcp"}, error_model="numpy")


def inline_kernel(function: Kernel) -> Kernel:
    """As `kernel`, for small functions that should melt into their callers."""
    return _compiled(function, inline="always")


def melted_kernel(function: Kernel) -> Kernel:
    """As `bare_kernel`, melting into its callers as `inline_kernel` does, but later: it is compiled
    once instead of at every place that calls it, which pays for functions that many kernels call.
    """
    return _compiled(function, _nrt=False, forceinline=True)


def bare_inner_kernel(function: Kernel) -> Kernel:
    """As `bare_kernel`, for functions that only other kernels call: they become machine code as a
    part of those alone, which saves time. A call from Python is a TypeError."""
    return _compiled(function, _nrt=False, no_cpython_wrapper=True)


def bare_melted_kernel(function: Kernel) -> Kernel:
    """As `bare_inner_kernel`, for functions of some size, or called at several places, which the
    compiler puts there: a call hands over seven numbers for each array, and records hold many."""
    return _compiled(function, _nrt=False, no_cpython_wrapper=True, forceinline=True)


def bare_inline_kernel(function: Kernel) -> Kernel:
    """As `bare_kernel`, for small functions that should melt into their callers."""
    return _compiled(function, _nrt=False, inline="always")
