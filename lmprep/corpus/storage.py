"""Where input files lie: on this machine, or anywhere that fsspec knows (s3://, https://, hf://)."""

from __future__ import annotations

import glob
import os
from contextlib import AbstractContextManager
from typing import IO, Any
from urllib.parse import urlsplit

from lmprep.errors import UsageError


def is_url(path: str) -> bool:
    """Whether fsspec opens it: `SCHEME://...`."""
    return "://" in path and urlsplit(path).scheme.isalnum()


def open_input(path: str) -> AbstractContextManager[IO[bytes]]:
    """Open a file to be read, at any place.

    Raises:
        OSError: it cannot be opened.
    """
    if not is_url(path):
        return open(path, "rb")
    system, inner = _located(path)
    opened: AbstractContextManager[IO[bytes]] = system.open(inner, "rb")
    return opened


def find(pattern: str) -> list[str]:
    """The files that a pattern matches, sorted; `**` goes down any number of folders."""
    if not is_url(pattern):
        return sorted(p for p in glob.glob(pattern, recursive=True) if not os.path.isdir(p))
    system, inner = _located(pattern)
    scheme = urlsplit(pattern).scheme
    found = system.glob(inner, detail=True)
    files = [name for name, about in found.items() if about["type"] == "file"]
    return sorted(name if is_url(name) else f"{scheme}://{name.lstrip('/')}" for name in files)


def size_of(path: str) -> int:
    """Bytes of a file.

    Raises:
        UsageError: there is no such file, it is a folder, or it cannot be asked for.
    """
    if not is_url(path):
        _check_readable(path)
        return os.path.getsize(path)
    try:
        system, inner = _located(path)
        about = system.info(inner)
    except FileNotFoundError:
        raise UsageError("no such file", fix="Check the address", path=path) from None
    except Exception as error:  # every file system has errors of its own
        reason = str(error).split("\n")[0] or type(error).__name__
        fix = "Check the address and your access to it"
        raise UsageError(f"cannot be asked for: {reason}", fix=fix, path=path) from error
    if about["type"] == "directory":
        raise UsageError("is a folder", fix=f"Name the files in it: {path}/*", path=path)
    if about.get("size") is None:
        fix = "Fetch it first, or pipe it: curl ... | lmprep ... -"
        raise UsageError("its server does not tell how large it is", fix=fix, path=path)
    return int(about["size"])


def _located(path: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it.

    Raises:
        UsageError: there is no such file system, or its package is not installed.
    """
    import fsspec  # heavy, and needed for URLs alone

    try:
        system, inner = fsspec.core.url_to_fs(path)
    except (ValueError, ImportError) as error:
        scheme = urlsplit(path).scheme
        fix = f"Install what fsspec needs for {scheme}://, or fetch the file first"
        raise UsageError(str(error).split("\n")[0], fix=fix, path=path) from None
    return system, inner


def _check_readable(path: str) -> None:
    if not os.path.exists(path):
        raise UsageError("no such file", fix="Check the path", path=path)
    if os.path.isdir(path):
        fix = f"Name the files in it: {os.path.join(path, '*.txt')}"
        raise UsageError("is a folder", fix=fix, path=path)
    if not os.path.isfile(path):
        raise UsageError("is a pipe or a device, not a file", fix="Pipe its data to -", path=path)
    if not os.access(path, os.R_OK):
        raise UsageError("may not be read by you", fix="Change its permissions", path=path)
