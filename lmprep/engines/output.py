"""The output folders of a build: opened, continued, refused or cleared.

A folder is ours when it holds our plan (unfinished) or our manifest (complete); nothing else is
ever overwritten or removed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmprep.errors import DatasetError, UsageError
from lmprep.files import create_json, remove_abandoned, sync_folder, temporary_of
from lmprep.shards.manifest import (
    MANIFEST,
    PARTIALS,
    PLAN,
    RECEIPTS,
    WORD_COUNTS,
    parse_shard_name,
    read_manifest,
)
from lmprep.tokenization import folder as tokenizer_folder
from lmprep.tokenization.folder import TokenizerFolder

_ELSEWHERE = "Choose another -o"


def open_folders(
    folders: Sequence[Path],
    paper: dict[str, Any],
    tokenizer: TokenizerFolder,
    *,
    resume: bool,
    force: bool,
) -> bool:
    """Make the folders of a build, the main one first in the list, or continue them.

    Args:
        paper: the plan.
        resume: continue an unfinished build of the same plan.
        force: remove an earlier build first; files that are not ours stay.

    Returns:
        True when the build is complete and nothing is left to do.

    Raises:
        UsageError: a folder exists and `resume` is not set, was begun with other settings, or is
            not ours.
    """
    if force:
        clear(folders)
    for folder in folders:
        if (
            folder.exists()
            and not _is_empty(folder)
            and not (force or (resume and is_ours(folder)))
        ):
            raise _refusal(folder)
        if (begun := _begun(folder)) is not None:
            _refuse_other_settings(folder, begun, paper)
    complete = all((folder / MANIFEST).exists() for folder in folders)
    for folder in reversed(folders):
        if complete:
            remove_plan(folder)
        else:
            _begin(folder, paper, tokenizer)
        for inner in (folder, folder / RECEIPTS, folder / PARTIALS):
            remove_abandoned(inner)
    return complete


def _begin(folder: Path, paper: dict[str, Any], tokenizer: TokenizerFolder) -> None:
    """Write the plan and the tokenizer, unless an earlier run did."""
    folder.mkdir(parents=True, exist_ok=True)
    _reopen(folder)
    if not (folder / PLAN).exists():
        try:
            create_json(folder / PLAN, paper)
        except FileExistsError:
            raise UsageError(
                "another build has just begun here", path=folder, fix="Add --resume to join it"
            ) from None
    (folder / RECEIPTS).mkdir(exist_ok=True)
    tokenizer_folder.copy(tokenizer, folder / "tokenizer")


def _reopen(folder: Path) -> None:
    """Make a complete folder an unfinished one, in one step that a crash cannot split."""
    if (folder / MANIFEST).exists():
        (folder / MANIFEST).replace(folder / PLAN)
        sync_folder(folder)


def _begun(folder: Path) -> dict[str, Any] | None:
    """The manifest or plan of a folder, None where it has neither."""
    if (folder / MANIFEST).exists():
        return read_manifest(folder)
    if not (folder / PLAN).exists():
        return None
    try:
        return dict(json.loads((folder / PLAN).read_bytes()))
    except ValueError:
        raise DatasetError(
            "not valid JSON", path=folder / PLAN, fix="Start over with --force"
        ) from None


def _refuse_other_settings(folder: Path, begun: dict[str, Any], asked: dict[str, Any]) -> None:
    if begun.get("fingerprint") == asked["fingerprint"]:
        return
    there, here = _flat(begun), _flat(asked)
    ignored = {"fingerprint", "lmprep"}
    names = [n for n in here if n.split(".")[0] not in ignored and there.get(n) != here[n]]
    name = names[0] if names else "the number of inputs"
    raise UsageError(
        f"this folder was begun with other settings: {name} is {there.get(name)!r} there "
        f"and {here.get(name)!r} here",
        path=folder,
        fix="Use the same settings, --force to start over, or another -o",
    )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, list):
        value = dict(enumerate(value, 1))
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _is_empty(folder: Path) -> bool:
    """Nothing in it, but perhaps what a run left that was killed before it wrote its plan."""
    return folder.is_dir() and all(temporary_of(path.name) for path in folder.iterdir())


def is_ours(folder: Path) -> bool:
    """Whether a build of ours was begun or completed in a folder."""
    return (folder / MANIFEST).exists() or (folder / PLAN).exists()


def _refusal(folder: Path) -> UsageError:
    """Why a folder is not written to."""
    if not is_ours(folder):
        what = "the folder holds files that lmprep build did not write"
        return UsageError(what, path=folder, fix=_ELSEWHERE)
    what = "the folder already holds a complete dataset"
    if not (folder / MANIFEST).exists():
        shards = len(list(folder.glob("data-*.arrow")))
        what = f"the folder already holds {shards} shards of an unfinished build"
    fix = "Add --resume to continue it, --force to start over, or choose another -o"
    return UsageError(what, path=folder, fix=fix)


def remove_plan(folder: Path) -> None:
    """What only an unfinished folder needs goes when the manifest is there."""
    for name in (PARTIALS, RECEIPTS):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / PLAN).unlink(missing_ok=True)


def clear(folders: Sequence[Path]) -> None:
    """Remove a build of ours and nothing else: only files our papers list or name.

    Raises:
        UsageError: a folder holds something that is not ours.
    """
    for folder in folders:
        if not folder.exists() or _is_empty(folder):
            continue
        if not is_ours(folder):
            raise UsageError(
                "this is not a folder of lmprep build, so --force does not touch it",
                path=folder,
                fix=_ELSEWHERE,
            )
        # A crash in between leaves an unfinished build, which can be cleared again.
        _reopen(folder)
        for path in list(folder.iterdir()):
            if temporary_of(path.name) or _is_written_by_us(path.name):
                path.unlink()
        for name in (RECEIPTS, PARTIALS, "tokenizer"):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / PLAN).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def _is_written_by_us(name: str) -> bool:
    """A shard, or one of the papers other than the plan."""
    try:
        parse_shard_name(name)
    except ValueError:
        return name in ("state.json", "dataset_info.json", WORD_COUNTS, MANIFEST)
    return True
