"""Several processes on one machine that train together, as `torchrun` would start them."""

from __future__ import annotations

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from typing import Any

# A server that has imported everything forks a process in no time.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["lmprep.training.pretraining", "tests.training.rank_processes"])
_SECONDS = 120


def run_ranks(count: int, target: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What `target(*arguments)` returns on each rank, or the error it raised there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    answers = _CONTEXT.Queue()
    processes = [
        _CONTEXT.Process(target=_work, args=(rank, count, port, answers, target, arguments))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    try:
        found = dict(answers.get(timeout=_SECONDS) for _ in processes)
    finally:
        for process in processes:
            process.join(10)
            process.kill()
    return [found[rank] for rank in range(count)]


def _work(
    rank: int, count: int, port: int, answers: Any, target: Callable[..., Any], arguments: Any
) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    try:
        answers.put((rank, target(*arguments)))
    except Exception as error:
        traceback.print_exc()
        answers.put((rank, error))
