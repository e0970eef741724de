"""A command in a process of its own: wall seconds and peak memory, its children's included."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

COMPILING = "Compiling kernels"  # what lmprep says when it does
THREADS = ("RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a command took.

    Args:
        seconds: on the wall.
        megabytes: the most that one of its processes held.
        status: its exit status.
        output: what it wrote, to either.
    """

    seconds: float
    megabytes: float
    status: int
    output: str


def measured(command: Sequence[object], threads: int) -> Measured:
    """Run a command on as many processors as it may have threads."""
    parallel = "true" if threads > 1 else "false"
    environment = dict.fromkeys(THREADS, str(threads)) | {"TOKENIZERS_PARALLELISM": parallel}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | environment,
        preexec_fn=lambda: keep_to(threads),
    )  # fmt: skip
    assert process.stdout is not None
    output = process.stdout.read()
    _, waited, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(waited)
    process.stdout.close()
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return Measured(
        seconds=seconds,
        megabytes=usage.ru_maxrss * kilobyte / 1e6,
        status=process.returncode,
        output=output,
    )


def settled(command: Sequence[object], threads: int) -> Measured:
    """As `measured`, of a command whose kernels were compiled by an earlier run.

    Compiling takes seconds and more memory than the work itself, so a figure with it is refused.
    """
    run = measured(command, threads)
    if COMPILING in run.output:
        sys.exit(f"kernels were compiled while this was measured; run it again: {command}")
    return run


def keep_to(threads: int) -> None:
    """Keep this process to the last processors it may use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
