"""Files of token ids to rows: lines of numbers, or JSON Lines with a list in the field `ids`.

As for texts, every line of numbers is a row, an empty one too; in JSON Lines every record is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmprep.corpus.blocks import Lines, whole_lines
from lmprep.corpus.sources import InputFile, Part
from lmprep.corpus.whitespace import ASCII_SPACE
from lmprep.encoding import digits
from lmprep.errors import InputError
from lmprep.ragged import Ragged, offsets_of

_FIX_FORM = "Give what lmprep encode wrote with --to text or --to jsonl"
_FIX_VOCABULARY = "Give the tokenizer that made the ids with -t"
_LARGEST = 2**31 - 1
_SHOWN = 40  # characters of what is no id


@dataclass(frozen=True, eq=False)
class IdRows:
    """The rows of a block.

    Args:
        lines: where they are from.
        rows: int32 ids.
        numbers: int64 [N], the line each row stands on, counted from 0.
    """

    lines: Lines
    rows: Ragged
    numbers: NDArray[np.int64]

    def refuse_unknown(self, known: NDArray[np.bool_]) -> None:
        """Raise `InputError` at the first id that is not among the known ones, bool [V]."""
        if not len(self.rows.values):
            return
        unknown = self.rows.values >= len(known)
        unknown[~unknown] = ~known[self.rows.values[~unknown]]
        if unknown.any():
            place = int(unknown.argmax())
            row = int(np.searchsorted(self.rows.offsets, place, side="right")) - 1
            what = f"id {self.rows.values[place]} is not in this vocabulary of {known.sum()} ids"
            raise self.lines.error(what, _FIX_VOCABULARY, line=int(self.numbers[row]))


def read_rows(file: InputFile, format: str | None) -> Iterator[IdRows]:
    """The rows of a file, a block at a time.

    Args:
        file: from `corpus.expand`.
        format: `text` or `jsonl`; None: told by the first character that is not whitespace.

    Raises:
        InputError: the file cannot be read, or something in it is not an id.
    """
    for lines in whole_lines(Part(file=file)):
        text = lines.decode()
        format = format or _format_of(text)
        yield _records(lines, text) if format == "jsonl" else _lines_of_numbers(lines)


def _format_of(text: str) -> str | None:
    """None while there is nothing to tell it by."""
    begin = text.lstrip(ASCII_SPACE)[:1]
    return {"": None, "{": "jsonl"}.get(begin, "text")


def _lines_of_numbers(lines: Lines) -> IdRows:
    numbers = digits.read(np.frombuffer(lines.data, np.uint8))
    if numbers.fault >= 0:
        word = lines.data[numbers.fault :].split(None, 1)[0].decode()
        raise _no_id(lines, len(numbers.offsets) - 1, word)
    rows = Ragged(numbers.ids, numbers.offsets)
    return IdRows(lines, rows, np.arange(len(rows)))


def _records(lines: Lines, text: str) -> IdRows:
    filled = [(n, r) for n, r in enumerate(text.split("\n")) if r.strip(ASCII_SPACE)]
    rows = [_ids_of(lines, number, record) for number, record in filled]
    ids = np.concatenate([np.empty(0, np.int32), *rows])
    places = np.array([number for number, _ in filled], np.int64)
    return IdRows(lines, Ragged(ids, offsets_of([len(row) for row in rows])), places)


def _ids_of(lines: Lines, number: int, record: str) -> NDArray[np.int32]:
    try:
        found = json.loads(record)
    except (ValueError, RecursionError):
        raise lines.error("the record is not valid JSON", _FIX_FORM, line=number) from None
    ids = found.get("ids") if isinstance(found, dict) else None
    if not isinstance(ids, list):
        raise lines.error("the record has no list in a field 'ids'", _FIX_FORM, line=number)
    if not set(map(type, ids)) <= {int} or (ids and not 0 <= min(ids) <= max(ids) <= _LARGEST):
        wrong = next(i for i in ids if type(i) is not int or not 0 <= i <= _LARGEST)
        raise _no_id(lines, number, json.dumps(wrong, ensure_ascii=False))
    return np.array(ids, np.int32)


def _no_id(lines: Lines, line: int, word: str) -> InputError:
    """The error for what cannot be an id: an enormous number, or none at all."""
    shown = word if len(word) <= _SHOWN else word[:_SHOWN] + "..."
    if word.isdecimal() and word.isascii():
        return lines.error(f"no vocabulary has an id {shown}", _FIX_VOCABULARY, line=line)
    return lines.error(f"{shown} is not an id", _FIX_FORM, line=line)
