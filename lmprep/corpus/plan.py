"""Input files to sources: big plain files are cut into ranges, small files are put together.

A pure function of the files, the settings and the partition size, never of workers.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO

from lmprep.corpus.blocks import DOCUMENT_LIMIT
from lmprep.corpus.sources import STDIN, TABLES, InputFile, Part
from lmprep.corpus.storage import open_input
from lmprep.errors import InputError, UsageError
from lmprep.settings import CorpusSettings

_MANY = 1 << 60
_INFLATION = 3  # bytes of text in a byte of a compressed file


@dataclass(frozen=True, kw_only=True)
class Source:
    """What one reader reads alone, in order: a range of a file, a file, or some small files.

    Args:
        index: place in the plan; the source part of shard names and document numbers.
        parts: at least one, all of one format.
    """

    index: int
    parts: tuple[Part, ...]


def plan_sources(
    inputs: Sequence[InputFile], settings: CorpusSettings, partition_bytes: int
) -> list[Source]:
    """Divide the inputs, in their order, into what single readers read.

    A plain file of more than `partition_bytes` becomes ranges of about that size that start at a
    record, two records at least in each. Neighbours of one format that together are no bigger
    (as stored) share a source. Only blocks around the cuts are read.

    Raises:
        UsageError: a setting applies to none of the inputs.
        InputError: a file to be cut cannot be read.
    """
    if partition_bytes < 1:
        raise ValueError(f"partition_bytes {partition_bytes} must be at least 1")
    refuse_idle_settings(inputs, settings)
    groups: list[list[Part]] = []
    room = -1  # bytes that may still join the last group; -1: nothing may
    for file in inputs:
        if file.bytes <= room and file.path != STDIN and file.format == groups[-1][0].file.format:
            groups[-1].append(Part(file=file))
            room -= file.bytes
            continue
        parts = _ranges(file, settings, partition_bytes)
        groups += [[part] for part in parts]
        alone = len(parts) > 1 or file.path == STDIN
        room = -1 if alone else partition_bytes - file.bytes
    return [Source(index=i, parts=tuple(group)) for i, group in enumerate(groups)]


def text_bytes(sources: Sequence[Source]) -> int:
    """Bytes of text in sources, about; very many if standard input is among them."""
    total = 0
    for part in (part for source in sources for part in source.parts):
        if part.file.path == STDIN:
            return _MANY
        size = (part.file.bytes if part.stop is None else part.stop) - part.start
        total += size * (_INFLATION if part.file.compression else 1)
    return total


def refuse_idle_settings(inputs: Sequence[InputFile], settings: CorpusSettings) -> None:
    """Raise `UsageError` for a setting that applies to none of the inputs."""
    formats = {file.format for file in inputs}
    if settings.documents != "blank" and "txt" not in formats:
        what = f"--documents {settings.documents} is for text files, and there are none"
        raise UsageError(what, fix="Leave it out: each record is a document")
    if settings.text_field != "text" and formats == {"txt"}:
        what = f"--text-field {settings.text_field} is for records, and there are none"
        raise UsageError(what, fix="Leave it out, or say --format jsonl")
    if settings.on_error != "stop" and formats == {"txt"}:
        what = f"--on-error {settings.on_error} is for records, and there are none"
        raise UsageError(what, fix="Leave it out; for text there is --encoding-errors")
    if settings.encoding_errors != "error" and formats <= set(TABLES):
        what = f"--encoding-errors {settings.encoding_errors} is for text and JSON lines"
        raise UsageError(what, fix="Leave it out: tables hold UTF-8")


def _ranges(file: InputFile, settings: CorpusSettings, partition_bytes: int) -> list[Part]:
    if not file.seekable or file.bytes <= partition_bytes:
        return [Part(file=file)]
    if file.format == "txt" and settings.documents == "file":
        return [Part(file=file)]
    by_line = file.format == "jsonl" or settings.documents == "line"
    bounds: list[int] = [0]
    try:
        with open_input(file.path) as handle:
            search = _Search(file, handle, by_line)
            while (bound := search.next_bound(bounds[-1], partition_bytes)) is not None:
                bounds.append(bound)
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}",
            path=file.path,
            fix="Look at its rights and its disk, or leave it out of the inputs",
        ) from error
    stops = [*bounds[1:], None]
    return [Part(file=file, start=a, stop=b) for a, b in zip(bounds, stops, strict=True)]


class _Search:
    """Looks for places to cut an open file."""

    def __init__(self, file: InputFile, handle: IO[bytes], by_line: bool) -> None:
        self._file = file
        self._handle = handle
        self._by_line = by_line

    def next_bound(self, start: int, partition_bytes: int) -> int | None:
        """Where the range that begins at `start` ends; None if it takes the rest of the file.

        The range gets at least two records, and so does the rest.
        """
        ours = list(islice(self._records(start, at_record=True), 2))
        if len(ours) < 2:
            return None
        beyond = max(start + partition_bytes, ours[1] + 1)
        theirs = list(islice(self._records(beyond), 2))
        return theirs[0] if len(theirs) == 2 else None

    def _records(self, position: int, *, at_record: bool = False) -> Iterator[int]:
        """Where records start, from `position` on, as far as can be told from there.

        In the middle of a file the line in which `position` is and, where empty lines part
        documents, all lines up to the first empty one belong to what began before.
        """
        if not at_record:
            self._handle.seek(position - 1)  # so that a line that begins at `position` counts
            position += len(self._handle.readline(DOCUMENT_LIMIT)) - 1
        self._handle.seek(position)
        parted = at_record
        found = position
        while line := self._handle.readline(DOCUMENT_LIMIT):
            content = (line.removeprefix(codecs.BOM_UTF8) if position == 0 else line).strip()
            if content and (parted or self._by_line):
                yield position
                found = position
            parted = not content
            position += len(line)
            if position - found > DOCUMENT_LIMIT:
                raise self._too_long(found)

    def _too_long(self, position: int) -> InputError:
        what = f"a document longer than {DOCUMENT_LIMIT} bytes begins near byte {position}"
        fix = "Part documents by empty lines, or say --documents line if each line is one"
        return InputError(what, fix=fix, path=self._file.path)
