"""Forks trainings: processes that do `lmprep pretrain ...` without the seconds of imports.

    python -m tests.faults.server FOLDER

Builds the datasets of `cases` in FOLDER, trains a step on each, and then answers a line of JSON on
stdin with one on stdout: a `Request` with the number of the process that does it, a number with how
that process ended.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from pathlib import Path

import torch

from tests.faults.cases import OBJECTIVES, make_datasets
from tests.faults.child import train
from tests.training.tiny_runs import train as train_here

PATIENCE = 120.0  # seconds for one training; then it hangs


def serve() -> dict | None:
    """Answer until stdin ends; in a forked process the request to do."""
    for line in sys.stdin:
        asked = json.loads(line)
        if isinstance(asked, int):
            answer = wait_for(asked)
        elif (answer := os.fork()) == 0:
            return asked
        print(json.dumps(answer), flush=True)
    return None


def wait_for(process: int) -> int:
    """The exit code, or minus the signal a process died of."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(process, signal.SIGABRT)
    return wait_for(process)


def warm_up(folder: Path) -> None:
    """Have every kernel and module loaded that a training needs."""
    for objective in OBJECTIVES:
        here = make_datasets(folder / objective, objective)
        train_here(here, here / "warm", steps=1, validation=here / "valid")


if __name__ == "__main__":
    torch.set_num_threads(1)
    warm_up(Path(sys.argv[1]))
    gc.freeze()  # collecting would copy all of it into every process
    print(json.dumps("ready"), flush=True)
    if (request := serve()) is not None:
        train(**request)
