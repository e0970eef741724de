"""JSON Lines to documents: one object a line, its text in one field, taken as it is.

Empty lines between records are passed over. Records whose text is empty or only whitespace are
left out and counted. Of a key given twice the last value counts, as in Python's `json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from lmprep.corpus.blocks import Lines, whole_lines
from lmprep.corpus.partitions import Piece
from lmprep.corpus.sources import Part
from lmprep.corpus.whitespace import ASCII_SPACE
from lmprep.ragged import offsets_of
from lmprep.settings import CorpusSettings

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
    for lines in whole_lines(part):
        texts, empty = [], 0
        for number, record in enumerate(lines.decode().split("\n")):
            if not record.strip(ASCII_SPACE):
                continue
            try:
                text = _text_of(record, settings.text_field)
            except ValueError as error:
                raise _record_error(lines, number, error, settings.text_field) from error
            if text:
                texts.append(text)
            else:
                empty += 1
        starts = offsets_of([len(text) for text in texts])[:-1]
        yield Piece(text=np.frombuffer(b"".join(texts), np.uint8), starts=starts, empty=empty)


def _text_of(record: str, field: str) -> bytes:
    """The text of a record as UTF-8; empty if it is only whitespace."""
    found = _parse(record)
    if not isinstance(found, dict):
        raise ValueError(f"is {_JSON_TYPES[type(found)]}, not an object")
    if field not in found:
        names = ", ".join(repr(name) for name in sorted(found)[:10]) or "none"
        raise ValueError(f"has no field {field!r}; its fields: {names}")
    text = found[field]
    if not isinstance(text, str):
        raise ValueError(f"has {_JSON_TYPES[type(text)]} in field {field!r}, not a string")
    if not text.strip(ASCII_SPACE):
        return b""
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


def _record_error(lines: Lines, number: int, error: ValueError, field: str) -> Exception:
    fix = f'Each line must be an object with a text: {{"{field}": "..."}}'
    if "no field" in str(error):
        fix = "Name the one that holds the text with --text-field"
    return lines.error(f"the record {error}", fix, line=number)
