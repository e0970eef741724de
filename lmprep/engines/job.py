"""A build from beginning to end: plan, partitions, manifest.

Order of writing: plan.json (created exclusively) -> shards and receipts -> manifest.json. A folder
without a manifest is unfinished; one with a plan can be continued.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
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
from lmprep.files import json_sha256
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
        valid=valid or out.with_name(f"{out.name}-valid"),
        tokenizer=folder,
        settings=settings,
        fingerprint=paper["fingerprint"],
    )
    return Plan(job=job, inputs=tuple(inputs), sources=tuple(sources), paper=paper)


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
        "inputs": [{"name": file.name, "bytes": file.bytes} for file in inputs],
        "algorithms": ALGORITHMS,
        "icu": icu_version(),
    }
    return {
        **deciding,
        "fingerprint": json_sha256(deciding),
        "vocabulary": asdict(folder.vocabulary),
        "lmprep": __version__,
    }


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
    receipts = [receipt for _, receipt in sorted(_receipts(job).items())]
    _refuse_empty(plan, receipts)
    for part in reversed(_parts(plan)):
        drops: Counter[str] = Counter()
        for receipt in receipts:
            drops.update(receipt[part]["drops"])
        content = {
            **plan.paper,
            "part": part,
            "documents": sum(r["documents"] for r in receipts),
            "shards": [shard for r in receipts for shard in r[part]["shards"]],
            "drops": dict(sorted(drops.items())),
        }
        write_manifest(job.folder(part), content)
        output.remove_plan(job.folder(part))


def _refuse_empty(plan: Plan, receipts: list[dict[str, Any]]) -> None:
    """Raise when there is nothing to train on; then nothing is left behind."""
    documents = sum(receipt["documents"] for receipt in receipts)
    rows = {part: sum(s["rows"] for r in receipts for s in r[part]["shards"]) for part in PARTS}
    drops: Counter[str] = Counter()
    for receipt in receipts:
        drops.update(receipt["train"]["drops"])
    error: LmprepError | None = None
    if not documents:
        error = empty_corpus(plan.inputs)
    elif plan.job.settings.valid and documents < 4:
        error = InputError(
            f"{documents} documents are too few to set some aside with --valid",
            fix="Leave --valid out, or part the documents by empty lines "
            "(--documents line or file for other layouts)",
        )
    elif not rows["train"] or (plan.job.settings.valid and not rows["valid"]):
        part = "train" if not rows["train"] else "valid"
        lost = ", ".join(f"{count} {reason}" for reason, count in sorted(drops.items()))
        error = InputError(
            f"no example came out of {documents} documents for the {part} part"
            + (f" (dropped: {lost})" if lost else ""),
            fix="Pairs need several documents of several sentences: see --documents, "
            "--sentences and --pairs none",
        )
    if error is not None:
        output.clear([plan.job.folder(part) for part in _parts(plan)])
        raise error
