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
from lmprep.files import create_json
from lmprep.shards.manifest import MANIFEST, PLAN, RECEIPTS, parse_shard_name, read_manifest
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
        if folder.exists() and not _is_empty(folder) and not (force or (resume and _ours(folder))):
            raise _refusal(folder)
    begun = _begun(folders[0])
    if begun is not None:
        _refuse_other_settings(folders[0], begun, paper)
        if (folders[0] / MANIFEST).exists():
            return True
    for folder in reversed(folders):
        _begin(folder, paper, tokenizer)
    return False


def _begin(folder: Path, paper: dict[str, Any], tokenizer: TokenizerFolder) -> None:
    """Write the plan and the tokenizer, unless an earlier run did."""
    if (folder / MANIFEST).exists():
        return  # the held-out folder, completed just before a crash
    if not (folder / PLAN).exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            create_json(folder / PLAN, paper)
        except FileExistsError:
            raise UsageError(
                "another build has just begun here", path=folder, fix="Add --resume to join it"
            ) from None
    (folder / RECEIPTS).mkdir(exist_ok=True)
    tokenizer_folder.copy(tokenizer, folder / "tokenizer")


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
    name = names[0] if names else "the settings"
    raise UsageError(
        f"this folder was begun with other settings: {name} is {there.get(name)!r} there "
        f"and {here.get(name)!r} here",
        path=folder,
        fix="Use the same settings, --force to start over, or another -o",
    )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _ours(folder: Path) -> bool:
    return (folder / MANIFEST).exists() or (folder / PLAN).exists()


def _refusal(folder: Path) -> UsageError:
    """Why a folder is not written to."""
    if not _ours(folder):
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
    shutil.rmtree(folder / RECEIPTS, ignore_errors=True)
    (folder / PLAN).unlink(missing_ok=True)


def clear(folders: Sequence[Path]) -> None:
    """Remove a build of ours and nothing else: only files our papers list or name.

    Raises:
        UsageError: the folder holds something that is not ours.
    """
    for folder in folders:
        if not folder.exists() or _is_empty(folder):
            continue
        if not _ours(folder):
            raise UsageError(
                "this is not a folder of lmprep build, so --force does not touch it",
                path=folder,
                fix=_ELSEWHERE,
            )
        # The manifest goes first and the plan last: a crash in between leaves an unfinished build.
        (folder / MANIFEST).unlink(missing_ok=True)
        for path in list(folder.iterdir()):
            if _is_ours(path.name):
                path.unlink()
        for name in (RECEIPTS, "tokenizer"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in ("state.json", "dataset_info.json", PLAN):
            (folder / name).unlink(missing_ok=True)
        if _is_empty(folder):
            folder.rmdir()


def _is_ours(name: str) -> bool:
    """A shard, or a temporary one that a killed run left: `.data-...arrow.PID.tmp`."""
    if name.startswith(".") and name.endswith(".tmp"):
        name = name[1:].rsplit(".", 2)[0]
    try:
        parse_shard_name(name)
    except ValueError:
        return False
    return True
