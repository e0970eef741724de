"""From the arguments of a command line to input files.

Format and codec follow from the suffixes: `books/emma.txt.gz` is text, compressed with gzip. A new
format or codec is one row in a table here and one in `formats.READERS` or `codecs`.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lmprep.corpus.storage import find, is_url, size_of
from lmprep.errors import InputError, UsageError
from lmprep.settings import FORMATS, choice

STDIN = "-"
FORMAT_SUFFIXES = {
    ".txt": "txt", ".jsonl": "jsonl", ".json": "jsonl", ".parquet": "parquet", ".arrow": "arrow",
}  # fmt: skip
CODEC_SUFFIXES = {".gz": "gz", ".bz2": "bz2", ".xz": "xz", ".zst": "zst"}
TABLES = ("parquet", "arrow")
"""Formats of columns, with a compression of their own."""


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
        """Whether a reader can start at any line: not in a compressed file, a table or stdin."""
        return self.path != STDIN and not self.compression and self.format not in TABLES


@dataclass(frozen=True, kw_only=True)
class Part:
    """Bytes `start` to `stop` of a file as stored; all of it by default."""

    file: InputFile
    start: int = 0
    stop: int | None = None


def expand(arguments: Sequence[str], *, format: str | None = None) -> list[InputFile]:
    """The input files that the arguments name, in order; a glob's files are sorted.

    Args:
        arguments: paths, URLs that fsspec opens, globs of both (`**` goes down any number of
            folders), folders that `datasets` saved, or `-` for stdin.
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
    if os.path.isdir(argument):
        return _saved_dataset(argument)
    if argument == STDIN or os.path.exists(argument) or not glob.has_magic(argument):
        return [argument]
    matches = find(argument)
    if not matches:
        raise UsageError(
            "no file matches this pattern", fix="Check the spelling and the folder", path=argument
        )
    return matches


def _saved_dataset(folder: str) -> list[str]:
    """The files of a folder written by `save_to_disk` of `datasets`; of another folder itself."""
    if os.path.exists(os.path.join(folder, "dataset_dict.json")):
        fix = f"Name one of its parts, such as {os.path.join(folder, 'train')}"
        raise UsageError("holds several datasets", fix=fix, path=folder)
    state = os.path.join(folder, "state.json")
    if not os.path.exists(state):
        return [folder]
    try:
        with open(state, encoding="utf-8") as file:
            names = [str(entry["filename"]) for entry in json.load(file)["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = "Save the dataset again"
        raise UsageError(f"does not name its files ({error!r})", fix=fix, path=state) from None
    if any(os.path.basename(name) != name for name in names):
        raise UsageError("names files outside its folder", fix="Save it again", path=state)
    return [os.path.join(folder, name) for name in names]


def _refuse_repeats(paths: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for path in paths:
        real = path if path == STDIN or is_url(path) else os.path.realpath(path)
        if path == STDIN and real in seen:
            raise UsageError("stdin (-) is given twice", fix="Name it once")
        if real in seen:
            what = "is given twice" if seen[real] == path else f"is the same file as {seen[real]}"
            raise UsageError(what, fix="Name each input file once", path=path)
        seen[real] = path


def _input_file(path: str, format: str | None) -> InputFile:
    if path == STDIN:
        if format in TABLES:
            raise UsageError(f"{format} files are not read from stdin", fix="Name the file")
        return InputFile(path=STDIN, name=STDIN, format=format or "txt")
    size = size_of(path)
    name = os.path.basename(path)
    stem, suffix = os.path.splitext(name.lower())
    compression = CODEC_SUFFIXES.get(suffix, "")
    if compression:
        suffix = os.path.splitext(stem)[1]
    format = format or _format_of(suffix, path)
    if compression and format in TABLES:
        what = f"is a compressed {format} file, which cannot be read in places"
        raise UsageError(what, fix="Decompress it first: it is compressed inside", path=path)
    return InputFile(path=path, name=name, format=format, compression=compression, bytes=size)


def _format_of(suffix: str, path: str) -> str:
    if suffix in FORMAT_SUFFIXES:
        return FORMAT_SUFFIXES[suffix]
    known, codecs = ", ".join(FORMAT_SUFFIXES), ", ".join(CODEC_SUFFIXES)
    what = f"suffix {suffix!r} says no format" if suffix else "has no suffix that says its format"
    fix = (
        f"Known are {known} (text and JSON also with {codecs}); or say --format {'|'.join(FORMATS)}"
    )
    raise UsageError(what, fix=fix, path=path)


def empty_corpus(inputs: Sequence[InputFile]) -> InputError:
    """The error for inputs in which no reader found a document."""
    shown = ["stdin" if file.path == STDIN else file.name for file in inputs[:3]]
    names = ", ".join(shown) + (" ..." if len(inputs) > 3 else "")
    return InputError(
        f"the corpus is empty: no document with text in {names}", fix="Give files that hold text"
    )
