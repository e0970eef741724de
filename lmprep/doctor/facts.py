"""All that is worth knowing about an installation when something goes wrong.

Only the standard library is imported here until the packages are known to load: a doctor that
falls ill with the patient is of no use.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmprep import __version__
from lmprep.doctor.packages import Package, packages

if TYPE_CHECKING:
    from lmprep.doctor.kernels import KernelCache

_LEAST_PYTHON = (3, 11)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something to mend.

    Args:
        what: what is wrong, a sentence without its full stop.
        fix: what helps, likewise.
        broken: whether lmprep cannot work as it is; else it only works worse.
    """

    what: str
    fix: str
    broken: bool


@dataclass(frozen=True, kw_only=True)
class Report:
    """An installation.

    Args:
        facts: name and value, in the order to show them.
        problems: those that are broken, and others.
    """

    facts: dict[str, str]
    problems: tuple[Problem, ...]


def examine() -> Report:
    """Look at everything. Loads every package, and runs a kernel."""
    found = list(packages())
    facts = dict([*_machine(), *map(_about_package, found)])
    problems = [Problem(what=p.fault, fix=p.fix, broken=True) for p in found if p.fault]
    problems += _system_problems()
    if any(p.name == "torch" and p.version and not p.fault for p in found):
        from lmprep.training.devices import (
            choose_device,
            choose_precision,
            compiles,
            cuda_devices,
            precision_name,
        )

        device = choose_device("auto")
        facts["CUDA"] = "; ".join(cuda_devices()) or "no device"
        facts["training on"] = f"{device} in {precision_name(choose_precision('auto', device))}"
        facts["compiling models"] = "on" if compiles("auto", device) else "off unless asked for"
    if not problems:
        from lmprep.corpus import icu_version
        from lmprep.doctor.kernels import kernel_cache

        cache = kernel_cache()
        facts |= {"ICU": icu_version(), **dict(_about_cache(cache)), "encoding": _speed(cache)}
        problems += _kernel_problems(cache)
    return Report(facts=facts, problems=tuple(problems))


def _machine() -> Iterator[tuple[str, str]]:
    yield "lmprep", __version__
    yield "Python", f"{platform.python_version()} ({sys.executable})"
    yield "platform", f"{platform.platform()}, {platform.machine()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "cores", f"{cores} of {os.cpu_count()} usable"
    yield "memory", f"{_memory() / 1e9:.1f} GB"
    for name, folder in (("here", os.curdir), ("TMPDIR", tempfile.gettempdir())):
        yield f"disk {name}", f"{shutil.disk_usage(folder).free / 1e9:.1f} GB free"


def _memory() -> int:
    """Bytes of memory of this machine, or of the container where that has less."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(limit, encoding="ascii") as file:
                sizes.append(int(file.read()))
        except (OSError, ValueError):  # not there, or `max`
            continue
    return min(sizes)


def _about_package(package: Package) -> tuple[str, str]:
    return package.name, package.version or f"not installed: {package.fix}"


def _about_cache(cache: KernelCache) -> Iterator[tuple[str, str]]:
    state = "can be written" if cache.writable else "cannot be written"
    yield "kernel cache", f"{cache.folder} ({state})"
    yield "kernels compiled", f"{cache.compiled} of {cache.kernels}"


def _speed(cache: KernelCache) -> str:
    if cache.compiled < cache.kernels:
        return "not timed before all kernels are compiled: lmprep doctor --warm"
    from lmprep.doctor.speed import encoding_speed

    return f"{encoding_speed() / 1e6:.0f} MB/s (WordPiece, one thread, 8 MB)"


def _system_problems() -> Iterator[Problem]:
    if sys.version_info < _LEAST_PYTHON:
        what = f"Python {platform.python_version()} is older than 3.11"
        yield Problem(what=what, fix="Install a newer one", broken=True)
    if fault := _temporary_fault():
        yield Problem(what=fault, fix="Make room, or point TMPDIR elsewhere", broken=True)


def _kernel_problems(cache: KernelCache) -> Iterator[Problem]:
    from lmprep.doctor.kernels import kernel_fault

    if fault := kernel_fault():
        yield Problem(what=fault, fix="pip install --force-reinstall numba llvmlite", broken=True)
    if not cache.writable and cache.compiled < cache.kernels:
        yield Problem(
            what="the kernel cache cannot be written, so each command compiles what is not in it",
            fix="Point LMPREP_CACHE_DIR to a folder that can be written, or fill the cache with "
            "lmprep doctor --warm as a user who may write it",
            broken=False,
        )


def _temporary_fault() -> str:
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"0")
    except OSError as error:
        return f"no temporary file can be written: {error.strerror}"
    return ""
