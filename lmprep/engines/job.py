"""A build from beginning to end: plan, partitions, manifest.

Order of writing: plan.json (created exclusively) -> shards and receipts -> manifest.json. Where an
objective has two stages, partials take the place of shards in the first. A folder without a
manifest is unfinished; one with a plan can be continued.

Several tasks may build one folder at the same time, each its share, and see of one another only
the receipts. Whoever finds all of them there does the rest; if two do, they write the same bytes.
One that comes too late finds files gone, and then the manifest there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from lmprep import duplicates, second_stage
from lmprep.build import Job
from lmprep.corpus.plan import Source
from lmprep.engines import output, receipts
from lmprep.engines.local import Done, Local, TaskFunction
from lmprep.engines.outcome import refuse_documents_found, refuse_nothing
from lmprep.engines.planning import Plan, make_plan
from lmprep.engines.receipts import account
from lmprep.engines.share import ALL, Share, share_of
from lmprep.errors import LmprepError, UsageError
from lmprep.files import remove_temporaries
from lmprep.objectives import OBJECTIVES
from lmprep.remote import RemotePath
from lmprep.shards.manifest import Receipt, read_manifest, write_manifest

__all__ = ["ENGINES", "BuildResult", "Plan", "make_plan", "run"]

log = logging.getLogger("lmprep")

ENGINES = ("local", "ray")


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """What a build left behind: the manifest of each part, and what it took.

    Args:
        manifests: by part, `train` and, if asked for, `valid`; empty while other tasks have
            something left to do.
        already_complete: nothing had to be done.
        waits_for: of a task, what others have still to build, if anything.
        seconds: wall-clock time of this run.
    """

    manifests: dict[str, dict[str, Any]]
    already_complete: bool
    seconds: float
    waits_for: str = ""


Progress = Callable[[dict[str, Any]], object]
"""Called with each receipt as it is written; those of a second stage count no bytes of text."""


class Engine(Protocol):
    """Runs partitions and tasks of a second stage somewhere; each leaves its receipt."""

    def build(
        self, job: Job, sources: Sequence[Source], done: Done, share: Share, on_receipt: Progress
    ) -> None:
        """Build every partition of a share that has no receipt in `done`."""

    def run_tasks(
        self, job: Job, tasks: Iterable[Any], on_receipt: Progress, function: TaskFunction = ...
    ) -> None:
        """Call a function with the job and each task: of the second stage, unless said."""


def run(
    plan: Plan,
    *,
    workers: int | None,
    resume: bool,
    force: bool,
    on_receipt: Progress = lambda _: None,
    engine: str = "local",
    task: tuple[int, int] | None = None,
    finish: bool = False,
) -> BuildResult:
    """Run what is not done yet of a plan, and complete the folder.

    Args:
        workers: processes; None leaves it to the engine.
        resume: continue an unfinished build.
        force: remove an earlier build first.
        engine: one of `ENGINES`.
        task: run only the share of task I of N, (I, N); implies `resume`.
        finish: build no partition; complete the folder if all are there.

    Raises:
        UsageError: the folder exists and neither `resume` nor `force` says what to do, it was begun
            with other settings, or what was asked for does not go together.
        InputError: the corpus cannot be read, or is empty.
    """
    started = time.monotonic()
    chosen = _engine(plan, engine, workers)
    join = task is not None or finish
    _refuse_unfit_way(plan, engine=engine, task=task, finish=finish)
    if force and output.is_ours(plan.job.valid):
        output.clear([plan.job.valid])  # its documents may now be in the main part
    complete = output.open_folders(
        plan.folders, plan.paper, plan.job.tokenizer, resume=resume or join, force=force, join=join
    )
    share = share_of(*task, plan.sources) if task else ALL
    log.info(
        "%d inputs in %d sources, engine %s, plan %s.",
        len(plan.inputs), len(plan.sources), engine, plan.job.fingerprint[:12],
    )  # fmt: skip
    build = _Build(plan, chosen, share, join, _with_warnings(on_receipt))
    waits_for = "" if complete else build.finish() if finish else build.run()
    if finish:
        for folder in plan.folders:
            remove_temporaries(folder)  # all tasks have ended: of some it was all they left
    made = {} if waits_for else {part: read_manifest(plan.job.folder(part)) for part in plan.parts}
    return BuildResult(
        manifests=made,
        already_complete=complete,
        seconds=time.monotonic() - started,
        waits_for=waits_for,
    )


def _engine(plan: Plan, name: str, workers: int | None) -> Engine:
    out = plan.job.out
    if isinstance(out, RemotePath) and not out.shared:
        if name != "local":
            what = f"{out} is seen by one process only, which --engine {name} is not"
            raise UsageError(what, fix="Choose another -o")
        workers = 1
    if name == "ray":
        from lmprep.engines.ray import Ray

        return Ray(workers)
    return Local(workers)


def _refuse_unfit_way(
    plan: Plan, *, engine: str, task: tuple[int, int] | None, finish: bool
) -> None:
    """Raise for ways to run that do not go together, or with this plan."""
    if task and engine != "local":
        raise UsageError(f"--task and --engine {engine} exclude each other", fix="Choose one")
    if task and finish:
        raise UsageError("--task and --finish exclude each other", fix="Run --finish last, alone")
    if task and not 0 <= task[0] < task[1]:
        what = f"there is no task {task[0]} of {task[1]}"
        raise UsageError(what, fix=f"Tasks count from 0 to {task[1] - 1}")
    if plan.reads_stdin and (task or finish or engine != "local"):
        who = "a cluster" if engine != "local" else "tasks"
        what = f"standard input cannot be shared by {who}"
        raise UsageError(what, fix="Write it to a file that all can read, and name that")
    if finish and not output.is_ours(plan.job.out):
        raise UsageError(
            "no build was begun here", path=plan.job.out, fix="Run its tasks first: --task 0/N ..."
        )


def _with_warnings(on_receipt: Progress) -> Progress:
    """Say what readers noticed, each thing once."""
    said: set[str] = set()

    def report(receipt: dict[str, Any]) -> None:
        for warning in receipt["warnings"]:
            if warning not in said:
                said.add(warning)
                log.warning("%s", warning)
        log.info("Done: %s, %d bytes of text.", _place_of(receipt), receipt["text_bytes"])
        on_receipt(receipt)

    return report


def _place_of(receipt: Mapping[str, Any]) -> str:
    """What a receipt is for, for people."""
    if "partition" in receipt:
        return f"source {receipt['source']}, partition {receipt['partition']}"
    return f"source {receipt['source']} read for duplicates"


@dataclass(frozen=True)
class _Build:
    """A share of a plan being built, by an engine; with `join` beside others."""

    plan: Plan
    engine: Engine
    share: Share
    join: bool
    report: Progress

    def run(self) -> str:
        """Build what is ours, and complete the folder; or say what others have still to build."""
        with self._forgiving():
            self._find_duplicates()
            self._run_first_stage()
            try:
                self._complete()
            except receipts.NotBuilt as missing:
                if not self.join:
                    raise
                return "" if self._is_completed() else missing.what
        return ""

    def finish(self) -> str:
        """Complete the folder; "" when it is.

        Raises:
            LmprepError: a partition is not built.
        """
        with self._forgiving():
            try:
                self._complete()
            except receipts.NotBuilt as missing:
                raise LmprepError(
                    f"the dataset is not complete: {missing.what}",
                    path=self.plan.job.out,
                    fix="Run the tasks that have not ended, then --finish again; or --resume",
                ) from None
        return ""

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        """No error counts where another task has completed the folder: then files were gone."""
        try:
            yield
        except (OSError, LmprepError):
            if not (self.join and self._is_completed()):
                raise

    def _is_completed(self) -> bool:
        """Whether another task has completed the folder; then what we wrote since goes."""
        complete = output.are_complete(self.plan.folders)
        for folder in self.plan.folders if complete else ():
            output.close(folder)
        return complete

    def _find_duplicates(self) -> None:
        """Have every source read for its duplicates, if they go, and find which documents stay.

        A task begins with the sources of its own share, and leaves out those that others have read
        meanwhile.
        """
        job, sources, share = self.plan.job, self.plan.sources, self.share
        if job.settings.dedup == "none" or duplicates.is_marked(job.out):
            return
        begin = share.index * len(sources) // share.count
        left = (
            source
            for source in (*sources[begin:], *sources[:begin])
            if not duplicates.is_hashed(job.out, job.fingerprint, source)
        )
        self.engine.run_tasks(job, left, self.report, _hash_source)
        duplicates.mark_first(job.out, sources)

    def _run_first_stage(self) -> None:
        """Build the partitions that are ours and not built yet."""
        job = self.plan.job
        done = receipts.intact_first_stage(job)
        try:
            self.engine.build(job, self.plan.sources, done, self.share, self.report)
        except LmprepError:
            if not receipts.first_stage(job):
                self._clear()  # nothing worth keeping: the next try needs no flag
            raise

    def _complete(self) -> None:
        """Do the rest once all partitions are built.

        Raises:
            NotBuilt: they are not.
        """
        plan, job = self.plan, self.plan.job
        found = receipts.intact_first_stage(job)
        receipts.refuse_incomplete(plan.sources, found)
        first = list(found.values())
        with self._leaving_nothing():
            refuse_documents_found(self._documents(first), plan.inputs, job.settings)
        second = self._run_second_stage(first)
        accounts = {part: account(first, second, part) for part in plan.parts}
        with self._leaving_nothing():
            refuse_nothing(accounts, job.settings)
        _finish(plan, first, accounts)

    def _documents(self, first: Sequence[Receipt]) -> int:
        return sum(account(first, (), part)["documents"] for part in self.plan.parts)

    def _run_second_stage(self, first: Sequence[Receipt]) -> list[Receipt]:
        """Run what is not done yet of the second stage, if there is one; all its receipts."""
        job = self.plan.job
        if OBJECTIVES[job.settings.objective].second_stage == "none":
            return []
        digest = receipts.digest(first)
        second_stage.prepare(job, first, self.plan.parts)
        tasks = second_stage.make_tasks(job, first, digest)
        files = receipts.Files(job)
        found = receipts.second_stage(job, digest)
        done = {place for place, receipt in found.items() if files.hold_second(receipt)}
        self.engine.run_tasks(job, [t for t in tasks if t.place not in done], self.report)
        found = receipts.second_stage(job, digest)
        if missing := [task.place for task in tasks if task.place not in found]:
            what = f"the receipt of {missing[0]} has gone since it was written"
            raise LmprepError(what, path=job.out, fix="Run the same command with --resume")
        return [found[task.place] for task in tasks]

    @contextmanager
    def _leaving_nothing(self) -> Iterator[None]:
        """An error means that nothing is worth keeping."""
        try:
            yield
        except LmprepError:
            self._clear()
            raise

    def _clear(self) -> None:
        if not self.join:  # others may be at work
            output.clear(self.plan.folders)


def _hash_source(job: Job, source: Source) -> Receipt:
    settings = job.settings
    return duplicates.hash_source(
        job.out, job.fingerprint, source, settings.corpus, settings.partition_bytes
    )


def _finish(plan: Plan, first: Sequence[Receipt], accounts: dict[str, dict[str, Any]]) -> None:
    """Write the manifests, the main folder's last, and remove what only a build needs."""
    job = plan.job
    for part in reversed(plan.parts):
        papers = {**accounts[part], **second_stage.papers(job, first, part)}
        write_manifest(job.folder(part), {**plan.paper, "part": part, **papers})
    for folder in plan.folders:
        output.close(folder)
