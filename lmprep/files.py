"""Files that are whole or absent: canonical JSON, and writes that survive a crash.

A file is written under a temporary name that starts with a dot, flushed to the disk and renamed;
then the folder is flushed, so that the name survives a power cut too.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that gets its name only if the block ends without an error."""
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _temporary(path: Path) -> Path:
    """A name beside `path` that tells which process of which machine is writing."""
    return path.with_name(f".{path.name}.{_host()}.{os.getpid()}.tmp")


def _host() -> str:
    return platform.node().replace(".", "-") or "localhost"


def temporary_of(name: str) -> str | None:
    """The final name of a temporary file of ours; None for any other name."""
    parts = name.rsplit(".", 3)
    ours = len(parts) == 4 and name.startswith(".") and parts[3] == "tmp" and parts[2].isdecimal()
    return parts[0][1:] if ours else None


def remove_abandoned(folder: Path) -> None:
    """Remove temporary files that processes of this machine left when they were killed."""
    for path in folder.glob(".*.tmp"):
        if temporary_of(path.name) is None:
            continue
        _, host, process, _ = path.name.rsplit(".", 3)
        if host == _host() and not _is_alive(int(process)):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Flush a folder with all files and folders in it to the disk."""
    for path in (*folder.rglob("*"), folder):
        sync_folder(path)  # opens and flushes a file just as well


def canonical_json(value: Any) -> bytes:
    """The one form in which we write JSON: sorted keys, one space of indentation, UTF-8."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def json_sha256(value: Any) -> str:
    """SHA-256 of the canonical form, hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write canonical JSON, whole or not at all."""
    with atomic_file(path) as file:
        file.write(canonical_json(value))


def create_json(path: Path, value: Any) -> None:
    """As `write_json`, but raise `FileExistsError` when the name is taken, also in a race."""
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            file.write(canonical_json(value))
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
