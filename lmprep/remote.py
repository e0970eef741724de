"""Folders of object stores: `s3://bucket/folder`, through fsspec.

`RemotePath` has those methods of `pathlib.Path` that a build needs, so the code that writes a
dataset folder is the same for both. What differs:

- a file appears whole, by one put (large ones in parts that appear together), and nothing is
  ever renamed;
- an operation that fails for no clear reason (503, a dropped connection) is tried again: all of
  them may be repeated;
- there are no folders, only names that begin alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from lmprep.errors import LmprepError, UsageError

Result = TypeVar("Result")

_TRIES = 6
_FIRST_WAIT = 0.2  # seconds; doubles with each further try: six seconds in all
_CLEAR = (FileNotFoundError, FileExistsError, PermissionError, NotImplementedError, ValueError)
_EXTRAS = {"s3": "lmprep[s3]", "s3a": "lmprep[s3]", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs"}


class RemotePath:
    """A file or folder of a store.

    Args:
        url: such as `s3://bucket/folder`.

    Raises:
        UsageError: there is no such kind of store, or what it needs is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._inside = self._connected[1]

    @cached_property
    def _connected(self) -> tuple[Any, str]:
        """The file system of fsspec, and the path there."""
        import fsspec

        kind = self._url.partition("://")[0]
        try:
            # Without a cache of listings: other processes write to the same folder.
            system, path = fsspec.core.url_to_fs(self._url, use_listings_cache=False)
        except ImportError:
            package = _EXTRAS.get(kind, "the package that fsspec names for it")
            what = f"{kind}:// needs a package that is not installed"
            fix = f"Install it: pip install '{package}'"
            raise UsageError(what, path=self._url, fix=fix) from None
        except ValueError as error:
            fix = "Check the spelling"
            raise UsageError(str(error), path=self._url, fix=fix) from None
        return system, str(path)

    @property
    def _system(self) -> Any:
        return self._connected[0]

    def __reduce__(self) -> tuple[object, ...]:
        return RemotePath, (self._url,)

    def __str__(self) -> str:
        return self._url

    def __repr__(self) -> str:
        return f"RemotePath({self._url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and self._url == other._url

    def __hash__(self) -> int:
        return hash(self._url)

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self._url}/{name}")

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self._url.rpartition("/")[2]

    @property
    def parent(self) -> RemotePath:
        """The folder this is in."""
        return RemotePath(self._url.rpartition("/")[0])

    def with_name(self, name: str) -> RemotePath:
        """What has another name in the same folder."""
        return self.parent / name

    @property
    def shared(self) -> bool:
        """Whether other processes see it too."""
        return not self._url.startswith("memory://")

    def exists(self) -> bool:
        """Whether there is a file of this name, or one whose name begins with it as a folder."""
        return bool(self._patiently(lambda: self._system.exists(self._inside)))

    def is_file(self) -> bool:
        """Whether there is a file of this name."""
        return bool(self._patiently(lambda: self._system.isfile(self._inside)))

    def is_dir(self) -> bool:
        """Whether there is something in it."""
        return bool(self._patiently(lambda: self._system.isdir(self._inside)))

    def sizes(self) -> dict[str, int]:
        """The files in a folder with their bytes."""
        return {n: i["size"] for n, i in self._listing().items() if i["type"] == "file"}

    def iterdir(self) -> Iterator[RemotePath]:
        """What is in a folder."""
        return (self / name for name in self._listing())

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """The files in a folder whose names fit."""
        return (self / name for name in self.sizes() if fnmatchcase(name, pattern))

    def _listing(self) -> dict[str, dict[str, Any]]:
        try:
            found = self._patiently(lambda: self._system.ls(self._inside, detail=True))
        except FileNotFoundError:
            return {}
        named = {entry["name"].rstrip("/"): entry for entry in found}
        named.pop(self._inside.rstrip("/"), None)  # a marker that stands for the folder itself
        return {name.rpartition("/")[2]: entry for name, entry in sorted(named.items())}

    def read_bytes(self) -> bytes:
        """The content of a file."""
        return bytes(self._patiently(lambda: self._system.cat_file(self._inside)))

    def read_all(self, files: Sequence[RemotePath]) -> list[bytes]:
        """The contents of files of this store, read at the same time."""
        paths = [file._inside for file in files]
        found = self._patiently(lambda: self._system.cat(paths, recursive=False)) if paths else {}
        return [found[path] for path in paths]

    def fetch(self, target: Path) -> None:
        """Copy a file to a local one."""
        self._patiently(lambda: self._system.get_file(self._inside, str(target)))

    def put(self, source: Path) -> None:
        """Copy a local file here: it appears whole, in place of what was there."""
        self._patiently(lambda: self._system.put_file(str(source), self._inside), writing=True)

    def create(self, content: bytes) -> None:
        """Write a small file, but raise `FileExistsError` where there is one already.

        In a store that knows no conditional put two processes may both succeed.
        """
        first = True

        def attempt() -> None:
            nonlocal first
            again, first = not first, False
            try:
                self._create_once(content)
            except FileExistsError:
                # Of a try whose answer was lost the file may be our own.
                if not (again and self.read_bytes() == content):
                    raise

        self._patiently(attempt, writing=True)

    def _create_once(self, content: bytes) -> None:
        try:
            self._system.pipe_file(self._inside, content, mode="create")
        except (NotImplementedError, ValueError, TypeError):
            if self._system.exists(self._inside):
                raise FileExistsError(self._url) from None
            self._system.pipe_file(self._inside, content)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove a file."""
        try:
            self._patiently(lambda: self._system.rm_file(self._inside))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def remove_tree(self) -> None:
        """Remove all that is in a folder, if there is anything."""
        with suppress(FileNotFoundError):
            self._patiently(lambda: self._system.rm(self._inside, recursive=True))

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: a folder is there as soon as something is in it."""

    def rmdir(self) -> None:
        """Nothing: a folder goes with the last thing in it."""

    def _patiently(self, operation: Callable[[], Result], *, writing: bool = False) -> Result:
        """Do something that may be done again, until it succeeds or fails for a clear reason.

        Raises:
            FileNotFoundError: what is to be read is not there.
            FileExistsError: what is to be created is.
            LmprepError: anything else, after some tries if that may help.
        """
        answers = FileExistsError if writing else FileNotFoundError
        for number in range(_TRIES):
            try:
                return operation()
            except answers:
                raise
            except Exception as error:
                if number == _TRIES - 1 or isinstance(error, _CLEAR):
                    raise LmprepError(
                        f"the store says: {error or type(error).__name__}",
                        path=self._url,
                        fix="Check the address, your rights and the network, then go on with "
                        "--resume",
                    ) from error
            time.sleep(_FIRST_WAIT * 2**number)
        raise AssertionError("unreachable")


AnyPath = Path | RemotePath
"""A local path, or one of a store."""


def path_of(name: str | Path | RemotePath) -> AnyPath:
    """A local path for a plain name, one of a store for a URL."""
    if not isinstance(name, str):
        return name
    kind, found, rest = name.partition("://")
    if not found:
        return Path(name)
    return Path(rest) if kind in ("file", "local") else RemotePath(name)
