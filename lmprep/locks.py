"""Files that one process holds at a time."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path


class Lock:
    """A file that one process holds at a time; the system frees it when that process dies.

    Where files cannot be locked nobody is kept out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the file."""
        return self._file is not None

    def take(self, seconds: float = 0.0) -> bool:
        """Take the file if it becomes free in time, and say whether nobody else holds it."""
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return True
        give_up = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < give_up:
                    time.sleep(0.01)
                    continue
                os.close(file)
                return False
            except OSError:
                os.close(file)
                return True
            self._file = file
            return True

    def free(self) -> None:
        """Let another process take the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
