"""Every error a user can meet: what is wrong, where, how to fix it, and the exit code.

    LmprepError            exit code 1
    ├── UsageError         2: wrong flag or setting, missing input, output folder that exists
    ├── InputError         1: an input file that cannot be read as what it should be
    ├── DatasetError       1: a dataset folder or shard that is incomplete, damaged or not ours
    ├── CheckpointError    1: a run folder or checkpoint that is incomplete, damaged or unwritable
    ├── TrainingError      1: training cannot go on
    └── Interrupted        130: Ctrl-C, work saved
        └── Terminated     143: SIGTERM, work saved

The core of the package raises `ValueError` with the value and the reason; the code that knows the
file and the flag turns it into one of these. The command line prints one line of them:
`Error: FILE:LINE: what is wrong. How to fix it.`
"""

from __future__ import annotations


class LmprepError(Exception):
    """A failure with an explanation.

    Args:
        what: what is wrong, a sentence without its full stop.
        fix: what the user can do about it, a sentence without its full stop.
        path: the file or folder concerned.
        line: line in that file, counted from 1.
    """

    exit_code = 1

    def __init__(
        self, what: str, *, fix: str, path: object = None, line: int | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.path = None if path is None else str(path)
        self.line = line

    def __str__(self) -> str:
        place = "" if self.path is None else f"{self.path}: "
        if self.path is not None and self.line is not None:
            place = f"{self.path}:{self.line}: "
        sentences = [place + self.what, self.fix]
        return " ".join(s if s.endswith((".", "?", "!")) else s + "." for s in sentences if s)

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way back from a worker process."""
        return _rebuild, (type(self), self.what, self.fix, self.path, self.line)


def _rebuild(
    kind: type[LmprepError], what: str, fix: str, path: str | None, line: int | None
) -> LmprepError:
    return kind(what, fix=fix, path=path, line=line)


class UsageError(LmprepError):
    """Wrong usage or settings, or an input that does not exist: found before any work."""

    exit_code = 2


class InputError(LmprepError):
    """An input file that cannot be read as what its name or flag says it is."""


class DatasetError(LmprepError):
    """A dataset folder that is incomplete, damaged, or was not written by lmprep."""


class CheckpointError(LmprepError):
    """A run folder or checkpoint that is incomplete or damaged, or cannot be written."""


class TrainingError(LmprepError):
    """Training cannot go on, for a reason in the data or the numbers."""


class Interrupted(LmprepError):
    """Ctrl-C arrived; what was done is saved and can be resumed."""

    exit_code = 130


class Terminated(Interrupted):
    """SIGTERM arrived; what was done is saved and can be resumed."""

    exit_code = 143
