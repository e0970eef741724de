"""From folders to one page: what each of them is, and the parts it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from lmprep.errors import UsageError
from lmprep.files import atomic_file
from lmprep.report.curves import run_names
from lmprep.report.datasets import dataset_section
from lmprep.report.page import page
from lmprep.report.results import FINETUNED, read_results
from lmprep.report.vocabularies import vocabulary_section

_EXAMPLES = 1_200_000
"""Bytes of rows on a page, of all datasets together."""


def write_report(subjects: Sequence[Path], out: Path, texts: Sequence[str] = ()) -> dict[str, int]:
    """Write the page of datasets, runs, tokenizers and kept figures.

    Args:
        subjects: folders of `lmprep build`, `pretrain`, `vocab`, `run` or `finetune`, or files of
            figures.
        out: the file; one that is there is replaced.
        texts: whose splits a vocabulary's part shows.

    Returns:
        Checks that failed, by dataset; those without are left out.

    Raises:
        UsageError: one of them is none of these.
        DatasetError, InputError, CheckpointError: one of them is damaged.
    """
    kinds = [(kind, path) for subject in subjects for kind, path in subjects_of(subject)]
    paths = [path for _, path in kinds]
    _refuse_twice(paths)
    named = dict(zip(paths, run_names(paths), strict=True))
    found = {kind: {path: named[path] for k, path in kinds if k == kind} for kind in _KINDS}
    sections, rows, failed = _of_datasets(found["dataset"])
    splits = {}
    for number, (path, name) in enumerate(found["tokenizer"].items()):
        id_ = f"vocabulary-{number}"
        part, splits[id_] = vocabulary_section(name, path, id_, texts)
        sections.append(part)
    sections += _of_runs(found["run"], found["results"])
    title = "lmprep report: " + ", ".join(named.values())
    with atomic_file(out) as file:
        file.write(page(title, sections, {"examples": rows, "splits": splits}))
    return failed


_KINDS = ("dataset", "tokenizer", "run", "results")
_Names = Mapping[Path, str]


def _of_datasets(named: _Names) -> tuple[list[Element], dict[str, Any], dict[str, int]]:
    """Parts, rows of examples by part, and numbers of failed checks by name."""
    sections, examples, failed = [], {}, {}
    for number, (path, name) in enumerate(named.items()):
        id_ = f"dataset-{number}"
        part, rows, broken = dataset_section(name, path, id_, _EXAMPLES // len(named))
        sections.append(part)
        if rows is not None:
            examples[id_] = rows
        if broken:
            failed[name] = broken
    return sections, examples, failed


def _refuse_twice(paths: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise UsageError("it is given twice", path=path, fix="Name everything once")
        seen.add(path.resolve())


def _of_runs(runs: _Names, results: _Names) -> list[Element]:
    """Parts of runs and figures; torch is needed for them and nothing else."""
    if not runs and not results:
        return []
    from lmprep.report.runs import beside, figure_sections, read_run, run_sections

    read = [read_run(path, name) for path, name in runs.items()]
    kept = [
        read_results(path / FINETUNED if path.is_dir() else path, name)
        for path, name in results.items()
    ]
    kept += [evaluation for path in runs for evaluation in beside(path)]
    return (run_sections(read) if read else []) + figure_sections(read, kept)


def subjects_of(path: Path) -> list[tuple[str, Path]]:
    """What lies at a path: one thing, or the parts that a recipe leaves in its folder.

    Raises:
        UsageError: nothing that a page can be made of.
    """
    if not path.exists():
        raise UsageError("there is no such folder or file", path=path, fix=_FIX)
    if kind := _kind(path):
        return [(kind, path)]
    parts = [
        (kind, part)
        for name in ("tokenizer", "train*", "valid*", "run")
        for part in sorted(path.glob(name))
        if (kind := _kind(part))
    ]
    if not parts:
        raise UsageError("this is nothing a page can be made of", path=path, fix=_FIX)
    return parts


_FIX = (
    "Give folders of `lmprep build`, `pretrain`, `vocab` or `run`, or a .json file of "
    "`lmprep evaluate --json`"
)


def _kind(path: Path) -> str | None:
    if path.is_file():
        return (
            "tokenizer"
            if path.name == "tokenizer.json"
            else "results"
            if path.suffix == ".json"
            else None
        )
    holds = {
        "dataset": ("manifest.json", "plan.json"),
        "run": ("recipe.toml",),
        "tokenizer": ("tokenizer.json",),
        "results": (FINETUNED,),
    }
    return next(
        (kind for kind, names in holds.items() if any((path / n).is_file() for n in names)), None
    )
