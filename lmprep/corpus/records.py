"""JSON Lines to documents: one object a line, its text in one field, taken as it is.

Empty lines between records are passed over. Records whose text is empty or only whitespace are
left out and counted. Of a key given twice the last value counts, as in Python's `json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from lmprep.corpus.blocks import Lines, Mended, shown_path, whole_lines
from lmprep.corpus.partitions import Piece
from lmprep.corpus.sources import Part
from lmprep.corpus.whitespace import ASCII_SPACE
from lmprep.errors import InputError
from lmprep.ragged import offsets_of
from lmprep.settings import CorpusSettings

_NAMED = 3  # bad records that a warning names
_JSON_TYPES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def read_records(part: Part, settings: CorpusSettings) -> Iterator[Piece]:
    """The documents of a JSON Lines file, or of a range of it that starts at a line.

    Raises:
        InputError: a line is not an object with a text, with its number and what it is instead.
    """
    mended, bad = Mended(part), BadRecords(part)
    for lines in whole_lines(part, settings.encoding_errors, gap=b"\n"):
        mended.add(lines)
        texts = []
        drops = mended.drops_of(lines)
        for number, record in enumerate(lines.decode().split("\n")):
            if not record.strip(ASCII_SPACE):
                continue
            try:
                text = text_in(record, settings.text_field)
            except ValueError as error:
                found = record_error(lines, number, error, settings.text_field)
                if settings.on_error == "stop":
                    raise found from error
                bad.add(found)
                drops["bad_records"] += 1
                continue
            if text.strip():
                texts.append(text)
            else:
                drops["empty_documents"] += 1
        starts = offsets_of([len(text) for text in texts])[:-1]
        yield Piece(text=np.frombuffer(b"".join(texts), np.uint8), starts=starts, drops=drops)
    if warnings := mended.warnings + bad.warnings:
        yield Piece(text=np.empty(0, np.uint8), starts=np.empty(0, np.int64), warnings=warnings)


class BadRecords:
    """Records that were left out: how many, and the first three."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._number = 0
        self._first: list[str] = []

    def add(self, error: InputError) -> None:
        self._number += 1
        if len(self._first) < _NAMED:
            self._first.append(f"line {error.line}: {error.what}")

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence, if there were any."""
        if not self._number:
            return ()
        named = "; ".join(self._first) + ("; ..." if self._number > _NAMED else "")
        return (f"{shown_path(self._part)}: {self._number} bad records were left out ({named})",)


def text_in(record: str, field: str) -> bytes:
    """The text of a record as UTF-8.

    Raises:
        ValueError: what the record is instead, as a sentence that begins with a verb.
    """
    found = _parse(record)
    if not isinstance(found, dict):
        raise ValueError(f"is {_JSON_TYPES[type(found)]}, not an object")
    if field not in found:
        names = ", ".join(repr(name) for name in sorted(found)[:10]) or "none"
        raise ValueError(f"has no field {field!r}; its fields: {names}")
    text = found[field]
    if not isinstance(text, str):
        raise ValueError(f"has {_JSON_TYPES[type(text)]} in field {field!r}, not a string")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise ValueError(f"has half of a surrogate pair, {half}, which is no character") from None


def _parse(record: str) -> object:
    try:
        return json.loads(record)
    except json.JSONDecodeError as error:
        message = error.msg.removesuffix(" at")
        raise ValueError(f"is not valid JSON: {message} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("is nested too deeply to be read") from None


def record_error(lines: Lines, number: int, error: ValueError, field: str) -> InputError:
    """The error of `text_in` for record `number` of these lines, with place and fix."""
    fix = f'Each line must be an object with a text: {{"{field}": "..."}}'
    if "no field" in str(error):
        fix = "Name the one that holds the text with --text-field"
    return lines.error(f"the record {error}", fix, line=number)
