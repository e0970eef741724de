"""Datasets of object stores, brought here before they are read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lmprep.errors import DatasetError, UsageError
from lmprep.files import atomic_file, file_sha256, sizes_of
from lmprep.jit import cache_folder
from lmprep.remote import RemotePath, path_of
from lmprep.shards.manifest import (
    MANIFEST,
    PLAN,
    WORD_COUNTS,
    parse_shard_name,
)

_TOKENIZER = "tokenizer"


def local_folder(folder: str | Path) -> Path:
    """A dataset folder as a local one: itself, or, of a URL, its copy in the cache.

    The copy lies in `datasets` of the cache folder (`LMPREP_CACHE_DIR`), under a name that
    changes with the manifest. Files that are there already are not fetched again.

    Raises:
        UsageError: there is no such dataset.
        DatasetError: it is unfinished, or a file is not what the manifest says.
    """
    remote = path_of(folder)
    if isinstance(remote, Path):
        return remote
    manifest = _manifest(remote)
    digest = hashlib.sha256(str(remote).encode() + manifest).hexdigest()[:32]
    local = cache_folder() / "datasets" / digest
    if (local / MANIFEST).exists():
        return local
    local.mkdir(parents=True, exist_ok=True)
    for entry in _entries(remote, manifest):
        _fetch(remote, local, entry)
    for name in sizes_of(remote / _TOKENIZER):
        _write(local / _TOKENIZER, name, (remote / _TOKENIZER / name).read_bytes())
    for name in ("state.json", "dataset_info.json"):
        _write(local, name, (remote / name).read_bytes())
    _write(local, MANIFEST, manifest)
    return local


def _manifest(remote: RemotePath) -> bytes:
    try:
        return (remote / MANIFEST).read_bytes()
    except FileNotFoundError:
        if (remote / PLAN).is_file():
            fix = "Run the same `lmprep build` with --resume to finish it"
            raise DatasetError("the dataset is unfinished", path=remote, fix=fix) from None
        fix = "Check the address; it is the OUT of `lmprep build`"
        raise UsageError("there is no dataset here", path=remote, fix=fix) from None


def _entries(remote: RemotePath, manifest: bytes) -> list[dict[str, Any]]:
    """The entries of the files to fetch; nothing that is not a name of ours becomes a path."""
    try:
        content = json.loads(manifest)
        entries = list(content["shards"])
        for entry in entries:
            parse_shard_name(entry["file"])
        if counts := content.get("word_counts"):
            entries.append({**counts, "file": WORD_COUNTS})
        return [{name: entry[name] for name in ("file", "bytes", "sha256")} for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "The dataset was changed after it was made; build it again"
        path = remote / MANIFEST
        raise DatasetError(f"not a manifest of lmprep ({error})", path=path, fix=fix) from None


def _fetch(remote: RemotePath, folder: Path, entry: dict[str, Any]) -> None:
    """Bring a file here and compare it with its entry, unless it is here."""
    target = folder / entry["file"]
    if target.is_file():  # under its name only after it was compared
        return
    source = remote / entry["file"]
    try:
        with atomic_file(target) as file:
            source.fetch(Path(file.name))
            if file_sha256(Path(file.name)) != entry["sha256"]:
                what = "its checksum is not the manifest's"
                raise DatasetError(what, path=source, fix="Build the dataset again")
    except FileNotFoundError:
        fix = "The dataset was changed after it was made; build it again"
        raise DatasetError("the file is missing", path=source, fix=fix) from None


def _write(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    with atomic_file(folder / name) as file:
        file.write(content)
