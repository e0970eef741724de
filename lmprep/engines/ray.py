"""Partitions as tasks of a Ray cluster: the one RAY_ADDRESS names, else this machine.

Only the plan and receipts travel: workers read the corpus and write shards themselves, so both must
lie where all nodes see them, and lmprep must be installed there. A task that was lost with its node
is run again somewhere else; it writes the same bytes under the same names.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from lmprep.build import Builder, Job
from lmprep.corpus.plan import Source
from lmprep.engines.local import (
    Done,
    OnReceipt,
    Receipt,
    TaskFunction,
    of_source,
    open_partitions,
    open_sources,
)
from lmprep.engines.share import Share
from lmprep.errors import LmprepError
from lmprep.second_stage import run_task

_RETRIES = 20  # of a task whose worker or node was lost; Ray's own number, 3, is for short jobs
_MOST_WAITING = 1000  # tasks handed to Ray at a time, for it to see how many nodes it wants


@dataclass(frozen=True)
class Ray:
    """The engine that runs on Ray.

    Args:
        workers: tasks at a time; None for as many as there are cores.
    """

    workers: int | None

    def build(
        self, job: Job, sources: Sequence[Source], done: Done, share: Share, on_receipt: OnReceipt
    ) -> None:
        """Build every partition that has no receipt in `done`; `share` is everything."""
        todo = open_sources([_absolute(source) for source in sources], done, share)
        if not todo:
            return
        with _connected(self.workers) as slots:
            shared = ray.put(_absolute_job(job))
            calls = (
                (_build_share, shared, source, of_source(done, source), part)
                for source in todo
                for part in _parts(source, len(todo), slots)
            )
            _collect(calls, self._most_waiting, on_receipt)

    def run_tasks(
        self,
        job: Job,
        tasks: Iterable[Any],
        on_receipt: OnReceipt,
        function: TaskFunction = run_task,
    ) -> None:
        """Call `function` with the job and each task."""
        left = [_absolute(task) if isinstance(task, Source) else task for task in tasks]
        if not left:
            return
        with _connected(self.workers):
            shared = ray.put(_absolute_job(job))
            calls = ((_run_task, shared, function, task) for task in left)
            _collect(calls, self._most_waiting, on_receipt)

    @property
    def _most_waiting(self) -> int:
        return self.workers or _MOST_WAITING


def _absolute(source: Source) -> Source:
    """Workers have a working folder of their own."""
    parts = tuple(replace(p, file=replace(p.file, path=_place(p.file.path))) for p in source.parts)
    return replace(source, parts=parts)


def _place(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


def _absolute_job(job: Job) -> Job:
    out, valid = (f.absolute() if isinstance(f, Path) else f for f in (job.out, job.valid))
    return replace(job, out=out, valid=valid)


def _parts(source: Source, sources: int, slots: int) -> list[Share]:
    """The tasks that read a source: several, each building every n-th partition of it, where one
    could not keep all cores busy. A range of a file is a partition or two: one task."""
    ranged = any(part.stop is not None or part.start for part in source.parts)
    count = 1 if ranged else max(1, math.ceil(slots / sources))
    return [Share(index=i, count=count, by_source=False) for i in range(count)]


_builder: Builder | None = None


def _builder_of(job: Job) -> Builder:
    """The builder of a worker process, which keeps its cache from task to task."""
    global _builder
    if _builder is None or _builder.job.fingerprint != job.fingerprint:
        _builder = Builder(job)
    _builder.job = job
    return _builder


@ray.remote(num_cpus=1, max_retries=_RETRIES)
def _build_share(job: Job, source: Source, done: Done, share: Share) -> list[Receipt]:
    builder = _builder_of(job)
    return [builder.build(partition) for partition in open_partitions(job, source, done, share)]


@ray.remote(num_cpus=1, max_retries=_RETRIES)
def _run_task(job: Job, function: TaskFunction, task: Any) -> list[Receipt]:
    return [function(job, task)]


def _collect(calls: Iterable[tuple[Any, ...]], most: int, on_receipt: OnReceipt) -> None:
    """Make the calls, so many at a time; report their receipts as they end."""
    waiting: list[Any] = []

    def take() -> None:
        ended, waiting[:] = ray.wait(waiting, num_returns=1)
        for receipt in _result(ended[0]):
            on_receipt(receipt)

    try:
        for function, *arguments in calls:
            waiting.append(function.remote(*arguments))
            while len(waiting) >= most:
                take()
        while waiting:
            take()
    finally:
        for reference in waiting:
            ray.cancel(reference, force=True)


def _result(reference: Any) -> list[Receipt]:
    try:
        receipts: list[Receipt] = ray.get(reference)
    except RayTaskError as error:
        raise error.cause from None  # as it was raised in the worker
    except RayError as error:
        raise LmprepError(
            f"Ray lost a task for good: {str(error).splitlines()[0]}",
            fix="See to the cluster, then run the same command with --resume",
        ) from error
    return receipts


@contextmanager
def _connected(workers: int | None) -> Iterator[int]:
    """Be connected to Ray within the block; gives the number of cores it has.

    A connection that is there already, as in a notebook, is used and left.
    """
    if ray.is_initialized():
        yield _cores()
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with _own_handlers():
        if os.environ.get("RAY_ADDRESS"):
            ray.init(log_to_driver=False, logging_level=logging.WARNING)
        else:
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.WARNING,
                _node_ip_address="127.0.0.1",  # its ports ask nobody for a password
            )
    try:
        yield _cores()
    finally:
        ray.shutdown()


def _cores() -> int:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return max(1, int(resources.get("CPU", 1)))


@contextmanager
def _own_handlers() -> Iterator[None]:
    """Keep our handlers of signals, in whose place Ray puts its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before: dict[int, Callable[..., Any] | int | None] = {n: signal.getsignal(n) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
