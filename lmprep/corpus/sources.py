"""From the arguments of a command line to input files.

Format and codec follow from the suffixes: `books/emma.txt.gz` is text, compressed with gzip. A new
format or codec is one row in a table here and one in `formats.READERS` or `blocks.CODECS`.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lmprep.errors import InputError, UsageError
from lmprep.settings import FORMATS, choice

STDIN = "-"
FORMAT_SUFFIXES = {".txt": "txt", ".jsonl": "jsonl", ".json": "jsonl"}
CODEC_SUFFIXES = {".gz": "gz"}


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file to read, or stdin.

    Args:
        path: as it is opened; `-` for stdin.
        name: the last part of the path, for manifests and messages.
        format: one of `settings.FORMATS`.
        compression: a codec of `CODEC_SUFFIXES`, or empty.
        bytes: size as stored; 0 for stdin.
    """

    path: str
    name: str
    format: str
    compression: str = ""
    bytes: int = 0

    @property
    def seekable(self) -> bool:
        """Whether a reader can start anywhere: not in a compressed file, not in stdin."""
        return self.path != STDIN and not self.compression


@dataclass(frozen=True, kw_only=True)
class Part:
    """Bytes `start` to `stop` of a file as stored; all of it by default."""

    file: InputFile
    start: int = 0
    stop: int | None = None


def expand(arguments: Sequence[str], *, format: str | None = None) -> list[InputFile]:
    """The input files that the arguments name, in order; a glob's files are sorted.

    Args:
        arguments: paths, globs (`**` goes down any number of folders), or `-` for stdin.
        format: the format of every file, whatever its suffix; stdin is `txt` without it. The
            codec always follows from the suffix.

    Raises:
        UsageError: a file is missing, unreadable or named twice, a glob matches nothing, a suffix
            is unknown. Nothing has been read by then.
    """
    if format is not None:
        choice("format", format, FORMATS)
    paths = [path for argument in arguments for path in _paths(argument)]
    _refuse_repeats(paths)
    return [_input_file(path, format) for path in paths]


def _paths(argument: str) -> list[str]:
    if argument == STDIN or os.path.exists(argument) or not glob.has_magic(argument):
        return [argument]
    matches = sorted(p for p in glob.glob(argument, recursive=True) if not os.path.isdir(p))
    if not matches:
        raise UsageError(
            "no file matches this pattern", fix="Check the spelling and the folder", path=argument
        )
    return matches


def _refuse_repeats(paths: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for path in paths:
        real = path if path == STDIN else os.path.realpath(path)
        if path == STDIN and real in seen:
            raise UsageError("stdin (-) is given twice", fix="Name it once")
        if real in seen:
            what = "is given twice" if seen[real] == path else f"is the same file as {seen[real]}"
            raise UsageError(what, fix="Name each input file once", path=path)
        seen[real] = path


def _input_file(path: str, format: str | None) -> InputFile:
    if path == STDIN:
        return InputFile(path=STDIN, name=STDIN, format=format or "txt")
    _check_readable(path)
    name = os.path.basename(path)
    stem, suffix = os.path.splitext(name.lower())
    compression = CODEC_SUFFIXES.get(suffix, "")
    if compression:
        suffix = os.path.splitext(stem)[1]
    return InputFile(
        path=path,
        name=name,
        format=format or _format_of(suffix, path),
        compression=compression,
        bytes=os.path.getsize(path),
    )


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


def _format_of(suffix: str, path: str) -> str:
    if suffix in FORMAT_SUFFIXES:
        return FORMAT_SUFFIXES[suffix]
    known, codecs = ", ".join(FORMAT_SUFFIXES), ", ".join(CODEC_SUFFIXES)
    what = f"suffix {suffix!r} says no format" if suffix else "has no suffix that says its format"
    fix = f"Known are {known} (each also with {codecs}); or say --format {'|'.join(FORMATS)}"
    raise UsageError(what, fix=fix, path=path)


def empty_corpus(inputs: Sequence[InputFile]) -> InputError:
    """The error for inputs in which no reader found a document."""
    shown = ["stdin" if file.path == STDIN else file.name for file in inputs[:3]]
    names = ", ".join(shown) + (" ..." if len(inputs) > 3 else "")
    return InputError(
        f"the corpus is empty: no document with text in {names}", fix="Give files that hold text"
    )
