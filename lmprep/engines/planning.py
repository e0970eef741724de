"""What a build will be: its inputs, its sources, and the paper that tells it from any other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lmprep import __version__
from lmprep.build import ALGORITHMS, Job
from lmprep.build_settings import BuildSettings
from lmprep.corpus.plan import Source, plan_sources
from lmprep.corpus.sentences import icu_version
from lmprep.corpus.sources import STDIN, InputFile, expand
from lmprep.engines.fitness import refuse_few_documents, refuse_unfit
from lmprep.errors import UsageError
from lmprep.examples import PARTS
from lmprep.files import canonical_json, json_sha256
from lmprep.remote import AnyPath, RemotePath
from lmprep.tokenization import folder as tokenizer_folder
from lmprep.tokenization.folder import TokenizerFolder


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A build that could be run: inputs, sources and the papers that describe it."""

    job: Job
    inputs: tuple[InputFile, ...]
    sources: tuple[Source, ...]
    paper: dict[str, Any]

    @property
    def parts(self) -> list[str]:
        """The parts that are built: train and, if asked for, valid."""
        return [part for part in PARTS if part == "train" or self.job.settings.valid]

    @property
    def folders(self) -> list[AnyPath]:
        """Their folders."""
        return [self.job.folder(part) for part in self.parts]

    @property
    def reads_stdin(self) -> bool:
        """Whether standard input is among the inputs."""
        return any(file.path == STDIN for file in self.inputs)


def make_plan(
    corpus: Sequence[str],
    tokenizer: str,
    out: AnyPath,
    settings: BuildSettings,
    *,
    family: str | None = None,
    valid: AnyPath | None = None,
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
    if settings.dedup != "none":
        _refuse_dedup(out, inputs)
    sources = plan_sources(inputs, settings.corpus, settings.partition_bytes)
    paper = {**_paper(inputs, folder, settings), "sources": len(sources)}
    job = Job(
        out=out,
        valid=valid or _beside(out),
        tokenizer=folder,
        settings=settings,
        fingerprint=paper["fingerprint"],
    )
    return Plan(job=job, inputs=tuple(inputs), sources=tuple(sources), paper=paper)


def _refuse_dedup(out: AnyPath, inputs: Sequence[InputFile]) -> None:
    """Raise where duplicates cannot be looked for."""
    if any(file.path == STDIN for file in inputs):
        what = "standard input cannot be read twice, as --dedup needs"
        raise UsageError(what, fix="Name files, or leave --dedup out")
    if isinstance(out, RemotePath):
        what = "--dedup keeps its table of documents in the output folder, which must be local"
        raise UsageError(what, path=out, fix="Build into a local folder and copy it")


def _beside(out: AnyPath) -> AnyPath:
    """OUT-valid, also for an OUT such as `.` that does not tell its name."""
    if isinstance(out, Path) and out.name in ("", ".."):
        out = out.resolve()
    return out.with_name(f"{out.name}-valid")


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
