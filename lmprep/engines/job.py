"""A build from beginning to end: plan, partitions, manifest.

Order of writing: plan.json (created exclusively) -> shards and receipts -> manifest.json. A folder
without a manifest is unfinished; one with a plan can be continued.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lmprep import __version__
from lmprep.build import ALGORITHMS, PARTS, BuildSettings, Job
from lmprep.corpus.plan import Source, plan_sources
from lmprep.corpus.sentences import icu_version
from lmprep.corpus.sources import InputFile, empty_corpus, expand
from lmprep.engines import local, output
from lmprep.errors import InputError, LmprepError, UsageError
from lmprep.files import canonical_json, json_sha256, remove_abandoned
from lmprep.objectives import check_fit
from lmprep.shards.manifest import RECEIPTS, read_manifest, write_manifest
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


Receipt = dict[str, Any]
Progress = Callable[[dict[str, Any]], object]
"""Called with each receipt as it is written."""


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
    try:
        check_fit(
            settings.objective, settings.objective_settings, settings.sequences, folder.vocabulary
        )
    except ValueError as error:
        fix = "Make a fitting vocabulary: lmprep vocab CORPUS -o TOK --algorithm wordpiece"
        raise UsageError(str(error), fix=f"{fix} --size 30000") from None
    inputs = expand(corpus, format=settings.corpus.format)
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
        done = {key: r for key, r in _receipts(plan.job).items() if _intact(plan.job, r)}
        try:
            local.run(
                plan.job,
                plan.sources,
                done,
                workers=workers,
                on_receipt=_with_warnings(on_receipt),
            )
        except LmprepError:
            if not _receipts(plan.job):
                output.clear(folders)  # nothing worth keeping: the next try needs no flag
            raise
        _finish(plan)
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


def _receipts(job: Job) -> dict[tuple[int, int], dict[str, Any]]:
    """The receipts of this plan by (source, partition)."""
    receipts = {}
    for path in sorted((job.out / RECEIPTS).glob("[0-9]*.json")):
        try:
            receipt = json.loads(path.read_bytes())
        except ValueError:
            continue  # cut short by a crash of the machine: the partition is built again
        if receipt.get("fingerprint") == job.fingerprint:
            receipts[receipt["source"], receipt["partition"]] = receipt
    return receipts


def _intact(job: Job, receipt: dict[str, Any]) -> bool:
    """Whether all shards a receipt lists are there in their full size."""
    files = [
        (job.folder(part) / s["file"], s["bytes"])
        for part in PARTS
        for s in receipt[part]["shards"]
    ]
    return all(path.is_file() and path.stat().st_size == size for path, size in files)


def _finish(plan: Plan) -> None:
    """Assemble the manifests from the receipts; the main folder's last."""
    job = plan.job
    receipts = _receipts(job)
    _refuse_incomplete(plan.sources, receipts)
    in_order = [receipt for _, receipt in sorted(receipts.items())]
    _refuse_empty(plan, in_order)
    for part in reversed(_parts(plan)):
        content = {**plan.paper, "part": part, **_account(in_order, part)}
        write_manifest(job.folder(part), content)
    for folder in (job.folder(part) for part in _parts(plan)):
        output.remove_plan(folder)
        remove_abandoned(folder)


def _account(receipts: Sequence[Receipt], part: str) -> dict[str, Any]:
    """What the receipts say of a part, added up."""
    drops: Counter[str] = Counter()
    for receipt in receipts:
        drops.update(receipt[part]["drops"])
    return {
        "documents": sum(receipt[part]["documents"] for receipt in receipts),
        "input_tokens": sum(receipt[part]["input_tokens"] for receipt in receipts),
        "shards": [shard for receipt in receipts for shard in receipt[part]["shards"]],
        "drops": dict(sorted(drops.items())),
    }


def _refuse_incomplete(
    sources: Sequence[Source], receipts: Mapping[tuple[int, int], Receipt]
) -> None:
    """Raise unless every source is covered from its first partition to its last, and no further."""
    left = set(receipts)
    for source in sources:
        ordinal = 0
        while not receipts.get((source.index, ordinal), {"last": True})["last"]:
            left.discard((source.index, ordinal))
            ordinal += 1
        if (source.index, ordinal) not in left:
            name = source.parts[0].file.name
            raise InputError(
                f"partition {ordinal} of source {source.index} ({name} ...) was not built",
                fix="Run the same command with --resume",
            )
        left.discard((source.index, ordinal))
    if left:
        raise InputError(
            f"the folder holds partition {min(left)} beyond the end of its source, as if the "
            "input had been longer before",
            fix="Give the same input again, or start over with --force",
        )


def _refuse_empty(plan: Plan, receipts: Sequence[Receipt]) -> None:
    """Raise when there is nothing to train on, and leave nothing; warn of an empty valid part."""
    accounts = {part: _account(receipts, part) for part in _parts(plan)}
    documents = sum(account["documents"] for account in accounts.values())
    empty = [part for part, account in accounts.items() if not account["shards"]]
    error: InputError | None = None
    if not documents:
        error = empty_corpus(plan.inputs)
    elif plan.job.settings.valid and documents < 4:
        error = InputError(
            f"{documents} documents are too few to set some aside with --valid",
            fix="Leave --valid out, or part the documents by empty lines "
            "(--documents line or file for other layouts)",
        )
    elif "train" in empty:
        error = InputError(_nothing_came(accounts["train"]), fix=_FOR_PAIRS)
    if error is not None:
        output.clear([plan.job.folder(part) for part in _parts(plan)])
        raise error
    if "valid" in empty:
        log.warning("%s for the held-out part. %s.", _nothing_came(accounts["valid"]), _FOR_PAIRS)


_FOR_PAIRS = (
    "Pairs need several documents of several sentences: see --documents, --sentences and "
    "--pairs none"
)


def _nothing_came(account: dict[str, Any]) -> str:
    lost = ", ".join(f"{count} {reason}" for reason, count in account["drops"].items())
    dropped = f" (dropped: {lost})" if lost else ""
    return f"no example came out of {account['documents']} documents{dropped}"
