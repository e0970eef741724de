"""Files that are whole or absent: canonical JSON, and writes that survive a crash.

A file is written under a temporary name that starts with a dot, flushed to the disk and renamed;
then the folder is flushed, so that the name survives a power cut too. A file of an object store is
written to a local temporary file, then put as a whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import IO, Any

from lmprep.remote import AnyPath, RemotePath

_TRIES = 10


@contextmanager
def atomic_file(path: AnyPath) -> Iterator[IO[bytes]]:
    """Open a file for writing that gets its name only if the block ends without an error."""
    if isinstance(path, RemotePath):
        with tempfile.NamedTemporaryFile(prefix="lmprep-") as local:
            yield local
            local.flush()
            path.put(Path(local.name))
        return
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


def make_folder(folder: AnyPath) -> None:
    """Make a folder in one that is there, unless it exists.

    Another task may be removing it: pathlib finds the name taken then, but not by a folder.

    Raises:
        FileExistsError: the name is that of something else.
    """
    for _ in range(_TRIES - 1):
        with suppress(FileExistsError):
            folder.mkdir(exist_ok=True)
            return
    folder.mkdir(exist_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A new folder to be filled, which gets its name only if the block ends without an error.

    Raises:
        OSError: the name is taken by now.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        sync_tree(temporary)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(path.parent)


def _temporary(path: Path) -> Path:
    """A name beside `path` that tells which process of which machine is writing."""
    return path.with_name(f".{path.name}.{_host()}.{os.getpid()}.tmp")


@cache
def _host() -> str:
    """This machine; in a container, this container: process numbers mean nothing elsewhere."""
    name = platform.node().replace(".", "-") or "localhost"
    try:
        return f"{name}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:  # not Linux
        return name


def temporary_of(name: str) -> str | None:
    """The final name of a temporary file or folder of ours; None for any other name."""
    parts = name.rsplit(".", 3)
    ours = len(parts) == 4 and name.startswith(".") and parts[3] == "tmp" and parts[2].isdecimal()
    return parts[0][1:] if ours else None


def remove_abandoned(folder: AnyPath) -> None:
    """Remove what is temporary and was left by processes of this machine that were killed."""
    if isinstance(folder, RemotePath):
        return
    for path in folder.glob(".*.tmp"):
        if temporary_of(path.name) is None:
            continue
        _, host, process, _ = path.name.rsplit(".", 3)
        if host == _host() and not _is_alive(int(process)):
            _remove(path)


def remove_temporaries(folder: AnyPath) -> None:
    """Remove all temporary files and folders of ours, whoever is writing them."""
    if isinstance(folder, RemotePath):
        return
    for path in folder.glob(".*.tmp"):
        if temporary_of(path.name) is not None:
            _remove(path)


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is still there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sync_folder(folder: AnyPath) -> None:
    """Flush a folder's list of names to the disk."""
    if isinstance(folder, RemotePath):
        return
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


def write_json(path: AnyPath, value: Any) -> None:
    """Write canonical JSON, whole or not at all."""
    with atomic_file(path) as file:
        file.write(canonical_json(value))


def create_json(path: AnyPath, value: Any) -> None:
    """As `write_json`, but raise `FileExistsError` when the name is taken, also in a race."""
    if isinstance(path, RemotePath):
        path.create(canonical_json(value))
        return
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


def move(source: AnyPath, target: AnyPath) -> None:
    """Give a file another name in its folder; in a store both names may be there for a moment."""
    if isinstance(source, RemotePath):
        with atomic_file(target) as file:
            file.write(source.read_bytes())
        source.unlink()
    else:
        source.replace(str(target))
        sync_folder(source.parent)


def remove_tree(folder: AnyPath) -> None:
    """Remove a folder with all that is in it, if it is there."""
    if isinstance(folder, RemotePath):
        folder.remove_tree()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def sizes_of(folder: AnyPath) -> dict[str, int]:
    """The plain files in a folder with their bytes; links are none. {} where there is no folder."""
    if isinstance(folder, RemotePath):
        return folder.sizes()
    sizes = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # a temporary one of another task, gone since
                if entry.is_file(follow_symlinks=False):
                    sizes[entry.name] = entry.stat().st_size
    return sizes


def read_all(folder: AnyPath, pattern: str) -> list[bytes]:
    """The contents of the plain files in a folder whose names fit, by name."""
    if isinstance(folder, RemotePath):
        return folder.read_all(list(folder.glob(pattern)))
    names = sorted(name for name in sizes_of(folder) if fnmatchcase(name, pattern))
    return [(folder / name).read_bytes() for name in names]


@contextmanager
def local_file(path: AnyPath) -> Iterator[Path]:
    """A local file with the content of this one: itself, or a copy while the block lasts."""
    if isinstance(path, RemotePath):
        with tempfile.NamedTemporaryFile(prefix="lmprep-") as local:
            path.fetch(Path(local.name))
            yield Path(local.name)
    else:
        yield path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
