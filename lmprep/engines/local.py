"""Partitions and the tasks of a second stage on this machine: in this process, or in workers.

A worker reads its sources itself. Standard input, and files that cannot be read in pieces when
they are fewer than the workers, are read here, and their partitions handed to the workers, a few
at a time.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from lmprep.build import Builder, Job
from lmprep.corpus.formats import Partition, read_partitions
from lmprep.corpus.plan import Source
from lmprep.corpus.sources import STDIN
from lmprep.errors import InputError, LmprepError
from lmprep.second_stage import Task, run_task

Receipt = dict[str, Any]
Done = Mapping[tuple[int, int], Receipt]
Call = tuple[Callable[[Any], list[Receipt]], Any]
"""A function for a worker, and its argument."""


def run(
    job: Job,
    sources: Sequence[Source],
    done: Done,
    *,
    workers: int,
    on_receipt: Callable[[Receipt], object],
) -> None:
    """Build every partition that has no receipt in `done`."""
    open_sources = [source for source in sources if not _is_complete(source, done)]
    if workers <= 1:
        builder = Builder(job)
        for source in open_sources:
            for partition in _open_partitions(job, source, done):
                on_receipt(builder.build(partition))
    elif open_sources:
        _run_in_processes(job, _first_stage(job, open_sources, done, workers), workers, on_receipt)


def run_tasks(
    job: Job, tasks: Sequence[Task], *, workers: int, on_receipt: Callable[[Receipt], object]
) -> None:
    """Run these tasks of the second stage."""
    if workers <= 1:
        for task in tasks:
            on_receipt(run_task(job, task))
    elif tasks:
        calls = [(_run_task, task) for task in tasks]
        _run_in_processes(job, calls, workers, on_receipt)


def _is_complete(source: Source, done: Done) -> bool:
    """Whether the receipts cover the source up to its last partition.

    Stdin has no name and no size to be known by: it is read again and compared.
    """
    if source.parts[0].file.path == STDIN:
        return False
    ordinal = 0
    while (receipt := done.get((source.index, ordinal))) is not None:
        if receipt["last"]:
            return True
        ordinal += 1
    return False


def _open_partitions(job: Job, source: Source, done: Done) -> Iterator[Partition]:
    """Read a source; yield the partitions that are not done and check those that are."""
    settings = job.settings
    for partition in read_partitions(source, settings.corpus, settings.partition_bytes):
        receipt = done.get((partition.source, partition.ordinal))
        if receipt is None:
            yield partition
        elif receipt["text_sha256"] != hashlib.sha256(partition.text.data).hexdigest():
            raise InputError(
                f"partition {partition.ordinal} of {source.parts[0].file.name} does not hold the "
                "text it held when the build began",
                fix="Give the same input again, or start over with --force",
            )


def _run_in_processes(
    job: Job, calls: Iterable[Call], workers: int, on_receipt: Callable[[Receipt], object]
) -> None:
    """Keep all workers busy with at most one call waiting for each."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(job, os.getpid())
    )
    waiting: set[Future[list[Receipt]]] = set()
    try:
        for function, argument in calls:
            waiting.add(pool.submit(function, argument))
            if len(waiting) > workers:
                waiting = _collect(waiting, on_receipt)
        while waiting:
            waiting = _collect(waiting, on_receipt)
    except BrokenProcessPool:
        raise LmprepError(
            "a worker process was killed, perhaps for want of memory",
            fix="Run the same command with --resume, and with fewer --workers or a smaller "
            "--partition-size if it happens again",
        ) from None
    except BaseException:
        _terminate(pool)
        raise
    pool.shutdown()


def _first_stage(job: Job, sources: Sequence[Source], done: Done, workers: int) -> Iterator[Call]:
    few = len(sources) < workers
    for source in sources:
        if few or any(part.file.path == STDIN for part in source.parts):
            for partition in _open_partitions(job, source, done):
                yield _build_partition, partition
        else:
            yield _build_source, (source, {k: r for k, r in done.items() if k[0] == source.index})


def _collect(
    waiting: set[Future[list[Receipt]]], on_receipt: Callable[[Receipt], object]
) -> set[Future[list[Receipt]]]:
    """Wait for a call to end, report its receipts; the calls still waiting."""
    ended, still = wait(waiting, return_when=FIRST_COMPLETED)
    for future in ended:
        for receipt in future.result():
            on_receipt(receipt)
    return still


def _terminate(pool: ProcessPoolExecutor) -> None:
    """Stop at once: what is half-done has no final name."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(timeout=5)


_builder: Builder


def _start_worker(job: Job, parent: int) -> None:
    """Once in each worker: its builder; Ctrl-C is the parent's business."""
    global _builder
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    _builder = Builder(job)


def _end_with_parent(parent: int) -> None:
    """A worker whose parent was killed would wait for work for ever."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _build_partition(partition: Partition) -> list[Receipt]:
    return [_builder.build(partition)]


def _build_source(task: tuple[Source, Done]) -> list[Receipt]:
    source, done = task
    return [_builder.build(p) for p in _open_partitions(_builder.job, source, done)]


def _run_task(task: Task) -> list[Receipt]:
    return [run_task(_builder.job, task)]
