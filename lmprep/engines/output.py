"""The output folders of a build: opened, continued, refused or cleared.

A folder is ours when it holds our plan (unfinished) or our manifest (complete); nothing else is
ever overwritten or removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lmprep.errors import DatasetError, UsageError
from lmprep.files import (
    create_json,
    make_folder,
    move,
    remove_abandoned,
    remove_temporaries,
    remove_tree,
    temporary_of,
)
from lmprep.remote import AnyPath
from lmprep.shards.manifest import (
    CARD,
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
    folders: Sequence[AnyPath],
    paper: dict[str, Any],
    tokenizer: TokenizerFolder,
    *,
    resume: bool,
    force: bool,
    join: bool = False,
) -> bool:
    """Make the folders of a build, the main one first in the list, or continue them.

    Args:
        paper: the plan.
        resume: continue an unfinished build of the same plan.
        force: remove an earlier build first; files that are not ours stay.
        join: others may be working in the folders at the same time; as `resume` otherwise.

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
    complete = are_complete(folders)
    if join and not complete and (folders[0] / MANIFEST).exists():
        complete = are_complete(folders)  # by now; the main manifest is the last one written
        if not complete:
            # Its receipts are gone: to build it again, all others would have to stop first.
            raise UsageError(
                "the held-out part of this complete dataset is missing",
                path=folders[-1],
                fix="Build it again with --resume, without --task",
            )
    for folder in reversed(folders):
        if not complete:
            _begin(folder, paper, tokenizer, join=join)
            # Another task may have finished it since: its plan was removed, and is here again.
            complete = join and are_complete(folders)
    for folder in folders:
        if complete:
            remove_plan(folder)
        for inner in (folder, folder / RECEIPTS, folder / PARTIALS):
            remove_abandoned(inner)
    return complete


def are_complete(folders: Sequence[AnyPath]) -> bool:
    """Whether all parts of a build have their manifests."""
    return all((folder / MANIFEST).exists() for folder in folders)


def _begin(
    folder: AnyPath, paper: dict[str, Any], tokenizer: TokenizerFolder, *, join: bool
) -> None:
    """Write the plan and the tokenizer, unless an earlier run did, or another one does."""
    folder.mkdir(parents=True, exist_ok=True)
    if not join:  # a manifest of the held-out part alone: another task is about to write ours
        _reopen(folder)
    if not (folder / PLAN).exists():
        _create_plan(folder, paper, join=join)
    make_folder(folder / RECEIPTS)
    tokenizer_folder.copy(tokenizer, folder / "tokenizer")


def _create_plan(folder: AnyPath, paper: dict[str, Any], *, join: bool) -> None:
    try:
        create_json(folder / PLAN, paper)
    except FileExistsError:
        if not join:
            raise UsageError(
                "another build has just begun here", path=folder, fix="Add --resume to join it"
            ) from None
        if (begun := _begun(folder)) is not None:
            _refuse_other_settings(folder, begun, paper)


def _reopen(folder: AnyPath) -> None:
    """Make a complete folder an unfinished one, in one step that a crash cannot split."""
    if (folder / MANIFEST).exists():
        move(folder / MANIFEST, folder / PLAN)


def _begun(folder: AnyPath) -> dict[str, Any] | None:
    """The plan or manifest of a folder, None where it has neither."""
    try:
        return dict(json.loads((folder / PLAN).read_bytes()))
    except FileNotFoundError:  # perhaps removed just now: the manifest is there before
        return read_manifest(folder) if (folder / MANIFEST).exists() else None
    except ValueError:
        raise DatasetError(
            "not valid JSON", path=folder / PLAN, fix="Start over with --force"
        ) from None


def _refuse_other_settings(folder: AnyPath, begun: dict[str, Any], asked: dict[str, Any]) -> None:
    if begun.get("fingerprint") == asked["fingerprint"]:
        return
    ignored = {"fingerprint", "lmprep"}
    own = {name: value for name, value in asked.items() if name not in ignored}
    name, there, here = first_difference(begun, own) or ("the number of inputs", None, None)
    raise UsageError(
        f"this folder was begun with other settings: {name} is {there!r} there and {here!r} here",
        path=folder,
        fix="Use the same settings, --force to start over, or another -o",
    )


def first_difference(
    there: Mapping[str, Any], here: Mapping[str, Any]
) -> tuple[str, Any, Any] | None:
    """The first entry of `here` that `there` has otherwise: its dotted name and both values."""
    others, ours = _flat(dict(there)), _flat(dict(here))
    names = (name for name in ours if others.get(name) != ours[name])
    return next(((name, others.get(name), ours[name]) for name in names), None)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, list):
        value = dict(enumerate(value, 1))
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _is_empty(folder: AnyPath) -> bool:
    """Nothing in it, but perhaps what a run left that was killed before it wrote its plan."""
    return folder.is_dir() and all(temporary_of(path.name) for path in folder.iterdir())


def is_ours(folder: AnyPath) -> bool:
    """Whether a build of ours was begun or completed in a folder."""
    return (folder / PLAN).exists() or (folder / MANIFEST).exists()


def _refusal(folder: AnyPath) -> UsageError:
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


def remove_plan(folder: AnyPath) -> None:
    """What only an unfinished folder needs goes when the manifest is there."""
    for name in (PARTIALS, RECEIPTS):
        remove_tree(folder / name)
    (folder / PLAN).unlink(missing_ok=True)


def close(folder: AnyPath) -> None:
    """Remove what only an unfinished folder needs."""
    remove_plan(folder)
    remove_abandoned(folder)


def clear(folders: Sequence[AnyPath]) -> None:
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
        remove_temporaries(folder)
        paths: list[AnyPath] = list(folder.iterdir())
        for path in paths:
            if _is_written_by_us(path.name):
                path.unlink()
        for name in (RECEIPTS, PARTIALS, "tokenizer"):
            remove_tree(folder / name)
        (folder / PLAN).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def _is_written_by_us(name: str) -> bool:
    """A shard, or one of the papers other than the plan."""
    try:
        parse_shard_name(name)
    except ValueError:
        return name in ("state.json", "dataset_info.json", CARD, WORD_COUNTS, MANIFEST)
    return True
