"""Where a command that makes one stream of bytes writes it: standard output, or a file with -o."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO

from lmprep.cli.console import Advance, progress
from lmprep.errors import UsageError


@contextmanager
def output(out: Path | None, inputs: Sequence[str], *, binary: bool) -> Iterator[IO[bytes]]:
    """Standard output, or a file that gets its name, or its new content, when all is written.

    Args:
        out: the file; None: standard output.
        inputs: paths that are read, and so must not be written to.
        binary: what comes is not for eyes, and so not for a terminal.

    Raises:
        UsageError: it cannot be written there.
    """
    if out is None:
        if binary and sys.stdout.isatty():
            raise UsageError(
                "this format is not for a terminal", fix="Name a file with -o, or pipe it on"
            )
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    from lmprep.files import atomic_file

    target = Path(os.path.realpath(out))  # of a link, its file is written and not the link
    _refuse(out, target, inputs)
    with atomic_file(target) as file:
        yield file


def progress_beside(
    out: Path | None, what: str, total: int | None = None
) -> AbstractContextManager[Advance]:
    """Progress in bytes with -o; in a pipe it would stand between the lines that others show."""
    return nullcontext(lambda done: None) if out is None else progress(what, total)


def _refuse(out: Path, target: Path, inputs: Sequence[str]) -> None:
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "not a regular file"
        raise UsageError(f"is {kind}", fix="Name a file, or leave out -o and redirect", path=out)
    if not target.parent.is_dir():
        raise UsageError("its folder does not exist", fix="Make it first", path=out)
    if any(target.exists() and target.samefile(path) for path in inputs if path != "-"):
        raise UsageError("is one of the inputs", fix="Choose another -o", path=out)
