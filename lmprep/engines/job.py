"""A build from beginning to end: plan, partitions, manifest.

Order of writing: plan.json (created exclusively) -> shards and receipts -> manifest.json. Where an
objective has two stages, partials take the place of shards in the first. A folder without a
manifest is unfinished; one with a plan can be continued.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lmprep import __version__, second_stage
from lmprep.build import ALGORITHMS, Job
from lmprep.build_settings import BuildSettings
from lmprep.corpus.plan import Source, plan_sources
from lmprep.corpus.sentences import icu_version
from lmprep.corpus.sources import InputFile, empty_corpus, expand
from lmprep.engines import local, output, receipts
from lmprep.engines.fitness import refuse_few_documents, refuse_unfit
from lmprep.engines.receipts import Receipt, account
from lmprep.errors import InputError, LmprepError
from lmprep.examples import PARTS
from lmprep.files import canonical_json, json_sha256, remove_abandoned
from lmprep.objectives import OBJECTIVES
from lmprep.shards.manifest import read_manifest, write_manifest
from lmprep.tokenization import folder as tokenizer_folder
from lmprep.tokenization.folder import TokenizerFolder

log = logging.getLogger("lmprep")


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """What a build left behind: the manifest of each part, and what it took.

    Args:
        manifests: by part, `train` and, if asked for, `valid`.
        already_complete: nothing had to be done.
        seconds: wall-clock time of this run.
    """

    manifests: dict[str, dict[str, Any]]
    already_complete: bool
    seconds: float


Progress = Callable[[dict[str, Any]], object]
"""Called with each receipt as it is written; those of a second stage count no bytes of text."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A build that could be run: inputs, sources and the papers that describe it."""

    job: Job
    inputs: tuple[InputFile, ...]
    sources: tuple[Source, ...]
    paper: dict[str, Any]


def make_plan(
    corpus: Sequence[str],
    tokenizer: str,
    out: Path,
    settings: BuildSettings,
    *,
    family: str | None = None,
    valid: Path | None = None,
) -> Plan:
    """Look at the inputs and settings, without writing anything.

    Args:
        corpus: files, globs, or `-`.
        tokenizer: a tokenizer folder or file, of `family` if it does not tell itself.
        out: the dataset folder.
        valid: the folder of the held-out part, by default OUT-valid.

    Raises:
        UsageError: inputs, settings and tokenizer do not go together.
    """
    folder = tokenizer_folder.load(tokenizer, family)
    refuse_unfit(settings, folder.vocabulary)
    inputs = expand(corpus, format=settings.corpus.format)
    refuse_few_documents(settings, inputs)
    sources = plan_sources(inputs, settings.corpus, settings.partition_bytes)
    paper = _paper(inputs, folder, settings)
    job = Job(
        out=out,
        valid=valid or _beside(out),
        tokenizer=folder,
        settings=settings,
        fingerprint=paper["fingerprint"],
    )
    return Plan(job=job, inputs=tuple(inputs), sources=tuple(sources), paper=paper)


def _beside(out: Path) -> Path:
    """OUT-valid, also for an OUT such as `.` that does not tell its name."""
    named = out if out.name not in ("", "..") else out.resolve()
    return named.with_name(f"{named.name}-valid")


def _paper(
    inputs: Sequence[InputFile], folder: TokenizerFolder, settings: BuildSettings
) -> dict[str, Any]:
    """All that determines the bytes, with its fingerprint.

    Inputs count by name and size, not by the folder they lie in, so that a corpus that was moved
    is still the same corpus.
    """
    deciding = {
        "objective": settings.objective,
        "settings": settings.as_dict(),
        "tokenizer_sha256": folder.sha256,
        "vocabulary": asdict(folder.vocabulary),
        "inputs": [{"name": file.name, "bytes": file.bytes} for file in inputs],
        "algorithms": ALGORITHMS,
        "icu": icu_version(),
    }
    # Through JSON, as it will be read back: tuples become lists.
    paper: dict[str, Any] = json.loads(canonical_json(deciding))
    return {**paper, "fingerprint": json_sha256(deciding), "lmprep": __version__}


def run(
    plan: Plan, *, workers: int, resume: bool, force: bool, on_receipt: Progress = lambda _: None
) -> BuildResult:
    """Run what is not done yet of a plan, and complete the folder.

    Raises:
        UsageError: the folder exists and neither `resume` nor `force` says what to do, or it was
            begun with other settings.
        InputError: the corpus cannot be read, or is empty.
    """
    started = time.monotonic()
    folders = [plan.job.folder(part) for part in _parts(plan)]
    if force and output.is_ours(plan.job.valid):
        output.clear([plan.job.valid])  # its documents may now be in the main part
    complete = output.open_folders(
        folders, plan.paper, plan.job.tokenizer, resume=resume, force=force
    )
    if not complete:
        report = _with_warnings(on_receipt)
        first = _run_first_stage(plan, workers, report)
        _finish(plan, first, _run_second_stage(plan, first, workers, report))
    return BuildResult(
        manifests={part: read_manifest(plan.job.folder(part)) for part in _parts(plan)},
        already_complete=complete,
        seconds=time.monotonic() - started,
    )


def _with_warnings(on_receipt: Progress) -> Progress:
    """Say what readers noticed, each thing once."""
    said: set[str] = set()

    def report(receipt: dict[str, Any]) -> None:
        for warning in receipt["warnings"]:
            if warning not in said:
                said.add(warning)
                log.warning("%s", warning)
        on_receipt(receipt)

    return report


def _parts(plan: Plan) -> list[str]:
    return [part for part in PARTS if part == "train" or plan.job.settings.valid]


def _run_first_stage(plan: Plan, workers: int, report: Progress) -> list[Receipt]:
    """Build the partitions that are not built yet; the receipts of all, in order."""
    job = plan.job
    done = {k: r for k, r in receipts.first_stage(job).items() if receipts.is_intact(job, r)}
    try:
        local.run(job, plan.sources, done, workers=workers, on_receipt=report)
    except LmprepError:
        if not receipts.first_stage(job):
            _clear(plan)  # nothing worth keeping: the next try needs no flag
        raise
    found = receipts.first_stage(job)
    receipts.refuse_incomplete(plan.sources, found)
    in_order = list(found.values())
    _refuse_few_documents_found(plan, in_order)
    return in_order


def _run_second_stage(
    plan: Plan, first: Sequence[Receipt], workers: int, report: Progress
) -> list[Receipt]:
    """Run what is not done yet of the second stage, if there is one; all its receipts."""
    job = plan.job
    if OBJECTIVES[job.settings.objective].second_stage == "none":
        return []
    digest = receipts.digest(first)
    second_stage.prepare(job, first, _parts(plan))
    tasks = second_stage.make_tasks(job, first, digest)
    found = receipts.second_stage(job, digest)
    done = {place for place, r in found.items() if receipts.is_second_intact(job, r)}
    to_do = [task for task in tasks if task.place not in done]
    local.run_tasks(job, to_do, workers=workers, on_receipt=report)
    found = receipts.second_stage(job, digest)
    return [found[task.place] for task in tasks]


def _finish(plan: Plan, first: Sequence[Receipt], second: Sequence[Receipt]) -> None:
    """Assemble the manifests from the receipts; the main folder's last."""
    job, parts = plan.job, _parts(plan)
    accounts = {part: account(first, second, part) for part in parts}
    _refuse_empty(plan, accounts)
    for part in reversed(parts):
        papers = {**accounts[part], **second_stage.papers(job, first, part)}
        write_manifest(job.folder(part), {**plan.paper, "part": part, **papers})
    for part in parts:
        output.remove_plan(job.folder(part))
        remove_abandoned(job.folder(part))


def _refuse_few_documents_found(plan: Plan, first: Sequence[Receipt]) -> None:
    """Raise when the corpus has no documents, or too few to set some aside; leave nothing."""
    documents = sum(account(first, (), part)["documents"] for part in _parts(plan))
    if not documents:
        error = empty_corpus(plan.inputs)
    elif plan.job.settings.valid and documents < 4:
        error = InputError(
            f"{documents} documents are too few to set some aside with --valid",
            fix="Leave --valid out, or part the documents by empty lines "
            "(--documents line or file for other layouts)",
        )
    else:
        return
    _clear(plan)
    raise error


def _refuse_empty(plan: Plan, accounts: dict[str, dict[str, Any]]) -> None:
    """Raise when there is nothing to train on, and leave nothing; warn of an empty valid part."""
    fix = _fix_of_nothing(plan.job.settings)
    for part, found in accounts.items():
        if not _is_empty(found):
            continue
        what = _nothing_came(found)
        if part == "train":
            _clear(plan)
            raise InputError(what, fix=fix)
        log.warning("%s for the held-out part. %s.", what, fix)


def _clear(plan: Plan) -> None:
    output.clear([plan.job.folder(part) for part in _parts(plan)])


def _is_empty(found: dict[str, Any]) -> bool:
    """Whether there is no row, or no token in any row."""
    return not any(shard.get("tokens", 1) for shard in found["shards"])


def _nothing_came(found: dict[str, Any]) -> str:
    lost = ", ".join(f"{count} {reason}" for reason, count in found["drops"].items())
    dropped = f" (dropped: {lost})" if lost else ""
    return f"no example came out of {found['documents']} documents{dropped}"


def _fix_of_nothing(settings: BuildSettings) -> str:
    if settings.sequences.pairs != "none":
        return (
            "Pairs need several documents of several sentences: see --documents, --sentences and "
            "--pairs none"
        )
    if settings.objective == "skipgram":
        return "Give more text, or a larger --subsample (0 keeps every token)"
    return "Give documents of several words"
