"""Partitions and the tasks of a second stage on this machine: in this process, or in workers.

A worker reads its sources itself. Standard input, and files that cannot be read in pieces when
they are fewer than the workers, are read here, and their partitions handed to the workers, a few
at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmprep.build import Builder, Job
from lmprep.corpus.formats import Partition, read_partitions
from lmprep.corpus.plan import Source, text_bytes
from lmprep.corpus.sources import STDIN
from lmprep.engines.processes import Call, run_in_processes
from lmprep.engines.share import Share
from lmprep.errors import InputError
from lmprep.second_stage import run_task

Receipt = dict[str, Any]
Done = Mapping[tuple[int, int], Receipt]
OnReceipt = Callable[[Receipt], object]
TaskFunction = Callable[[Job, Any], Receipt]
"""What is done for a task: by default what the second stage does."""


@dataclass(frozen=True)
class Local:
    """The engine of this machine.

    Args:
        workers: processes; None for one.
    """

    workers: int | None

    def build(
        self, job: Job, sources: Sequence[Source], done: Done, share: Share, on_receipt: OnReceipt
    ) -> None:
        """Build every partition of a share that has no receipt in `done`."""
        todo = open_sources(sources, done, share)
        if not todo:
            return
        workers = self.workers or 1
        # A single partition is built sooner than a process starts that could do it.
        if workers <= 1 or text_bytes(todo) <= job.settings.partition_bytes:
            builder = Builder(job)
            for source in todo:
                for partition in open_partitions(job, source, done, share):
                    on_receipt(builder.build(partition))
        else:
            calls = _first_stage(job, todo, done, share, workers)
            _run_in_processes(job, calls, workers, on_receipt)

    def run_tasks(
        self,
        job: Job,
        tasks: Iterable[Any],
        on_receipt: OnReceipt,
        function: TaskFunction = run_task,
    ) -> None:
        """Call `function` with the job and each task; they are taken as workers become free."""
        workers = self.workers or 1
        if workers <= 1:
            for task in tasks:
                on_receipt(function(job, task))
        else:
            calls = ((_run_task, (function, task)) for task in tasks)
            _run_in_processes(job, calls, workers, on_receipt)


def open_sources(sources: Sequence[Source], done: Done, share: Share) -> list[Source]:
    """The sources of a share in which something may be left to do."""
    ours = (source for source in sources if share.has_source(source.index))
    return [source for source in ours if not _is_complete(source, done)]


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


def open_partitions(job: Job, source: Source, done: Done, share: Share) -> Iterator[Partition]:
    """Read a source; of a share, yield the partitions not done and check those that are."""
    settings = job.settings
    for partition in read_partitions(source, settings.corpus, settings.partition_bytes):
        if not share.has_partition(partition.source, partition.ordinal):
            continue
        receipt = done.get((partition.source, partition.ordinal))
        if receipt is None:
            yield partition
        elif receipt["text_sha256"] != hashlib.sha256(partition.text.data).hexdigest():
            raise InputError(
                f"partition {partition.ordinal} of the source that begins with it does not hold "
                "the text it held when the build began",
                path=source.parts[0].file.name,
                fix="Give the same input again, or start over with --force",
            )


def _run_in_processes(job: Job, calls: Iterable[Call], workers: int, on_receipt: OnReceipt) -> None:
    def report(receipts: list[Receipt]) -> None:
        for receipt in receipts:
            on_receipt(receipt)

    run_in_processes(
        calls,
        workers,
        start=_start,
        argument=job,
        on_result=report,
        fix="Run the same command with --resume, and with fewer --workers or a smaller "
        "--partition-size if it happens again",
    )


def _first_stage(
    job: Job, sources: Sequence[Source], done: Done, share: Share, workers: int
) -> Iterator[Call]:
    few = len(sources) < workers
    for source in sources:
        if few or any(part.file.path == STDIN for part in source.parts):
            for partition in open_partitions(job, source, done, share):
                yield _build_partition, partition
        else:
            yield _build_source, (source, of_source(done, source), share)


def of_source(done: Done, source: Source) -> Done:
    """The receipts of one source."""
    return {place: receipt for place, receipt in done.items() if place[0] == source.index}


_builder: Builder


def _start(job: Job) -> None:
    """Once in each worker: its builder."""
    global _builder
    _builder = Builder(job)


def _build_partition(partition: Partition) -> list[Receipt]:
    return [_builder.build(partition)]


def _build_source(task: tuple[Source, Done, Share]) -> list[Receipt]:
    return [_builder.build(partition) for partition in open_partitions(_builder.job, *task)]


def _run_task(call: tuple[TaskFunction, Any]) -> list[Receipt]:
    function, task = call
    return [function(_builder.job, task)]
