"""Task files: tables, JSON lines and columns of words, compressed or not, as records with lines.

    .tsv          a header line, then a row a line, parted by tabs, no quoting
    .csv          a header line, then rows with quotes as spreadsheets write them
    .jsonl        an object a line
    .conll        a word a line with its label in the last column, an empty line after a sentence
    .json         SQuAD's (see `questions.py`)

each also with .gz, .bz2, .xz or .zst.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmprep.corpus.codecs import STORED_BYTES, decompressed
from lmprep.corpus.sources import CODEC_SUFFIXES
from lmprep.errors import InputError, UsageError

_SUFFIXES = {
    ".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".conll": "conll", ".bio": "conll",
    ".iob2": "conll", ".json": "squad",
}  # fmt: skip
_DOCUMENT = "-DOCSTART-"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One row of a table, or one object: its values by name, and its first line from 1."""

    values: Mapping[str, Any]
    line: int


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """Words, with a label each where the file has them, and the line of each word."""

    words: tuple[str, ...]
    labels: tuple[str, ...] | None
    lines: tuple[int, ...]


def format_of(path: Path, stated: str) -> str:
    """The format of a file: the one stated, or what its suffix says.

    Raises:
        UsageError: no such file, or a suffix that says nothing.
    """
    if not path.exists():
        raise UsageError("no such file", path=path, fix="Check the path")
    if not path.is_file():
        raise UsageError("is not a regular file", path=path, fix="Name a file")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in CODEC_SUFFIXES:
        suffixes.pop()
    found = _SUFFIXES.get(suffixes[-1] if suffixes else "", "")
    if not stated and not found:
        known, codecs = ", ".join(_SUFFIXES), ", ".join(CODEC_SUFFIXES)
        raise UsageError(
            "its suffix says no format",
            path=path,
            fix=f"Known are {known}, each also with {codecs}; or say --format",
        )
    return stated or found


def read_text(path: Path) -> str:
    """A file's text, unpacked; a byte-order mark at its beginning is left out.

    Raises:
        InputError: it is damaged, or not UTF-8.
    """
    try:
        content = b"".join(_unpacked(path))
    except FileNotFoundError:
        raise UsageError("no such file", path=path, fix="Check the path") from None
    except (ValueError, OSError) as error:
        raise InputError(
            f"cannot be unpacked ({error})", path=path, fix="Is it whole, and is its suffix right?"
        ) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"is not UTF-8: byte {content[error.start]:#04x}",
            path=path,
            line=line,
            fix="Convert it, as with iconv -t UTF-8",
        ) from None


def _unpacked(path: Path) -> Iterator[bytes]:
    codec = CODEC_SUFFIXES.get(path.suffix.lower(), "")
    with path.open("rb") as file:
        yield from decompressed(iter(lambda: file.read(STORED_BYTES), b""), codec, 1 << 20)


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; one ends at a line feed, with or without a carriage return.

    Not at the other marks that `splitlines` knows: those occur in texts.
    """
    for number, line in enumerate(text.split("\n"), 1):
        yield number, line.removesuffix("\r")


def read_records(path: Path, format: str) -> list[Record]:
    """The rows of a table, or the objects of JSON lines.

    Raises:
        InputError: a row with too many or too few cells, or no object, with its line.
    """
    text = read_text(path)
    if format == "jsonl":
        return list(_json_records(text, path))
    rows = _csv_rows(text, path) if format == "csv" else _tsv_rows(text)
    return list(_table_records(rows, path))


def _tsv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in lines_of(text):
        if line:
            yield number, line.split("\t")


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"is not readable as CSV: {error}", path=path, line=line, fix="Check its quotes"
        ) from None


def _table_records(rows: Iterator[tuple[int, list[str]]], path: Path) -> Iterator[Record]:
    _, header = next(rows, (1, []))
    if not header:
        raise InputError("is empty", path=path, fix="Give a header line, then an example a line")
    if len(set(header)) < len(header):
        raise InputError("has two columns of one name", path=path, line=1, fix="Rename one")
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(
                f"has {len(row)} cells, the header {len(header)} ({', '.join(header)})",
                path=path,
                line=line,
                fix="Give every row the cells of the header",
            )
        yield Record(values=dict(zip(header, row, strict=True)), line=line)


def _json_records(text: str, path: Path) -> Iterator[Record]:
    for number, line in lines_of(text):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", "nested too deeply")
            raise InputError(
                f"is not valid JSON: {reason}", path=path, line=number, fix="Give an object a line"
            ) from None
        if not isinstance(found, dict):
            raise InputError(
                "is not a JSON object", path=path, line=number, fix="Give an object a line"
            )
        yield Record(values=found, line=number)


def read_sentences(path: Path) -> list[Sentence]:
    """The sentences of a file with a word a line.

    Columns are parted by tabs, in lines without one by spaces. The first is the word, the last its
    label; a file with a single column has no labels. Lines `-DOCSTART- ...` are passed over, as are
    those that begin with `# ` and have no tab where others have.

    Raises:
        InputError: a line with more or fewer columns than the first.
    """
    text = read_text(path)
    tabbed = "\t" in text
    sentences: list[Sentence] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    columns = 0
    for number, line in [*lines_of(text), (0, "")]:
        if not line.strip(" \t") or line.startswith(_DOCUMENT):
            if rows:
                sentences.append(_sentence(rows, lines))
                rows, lines = [], []
            continue
        if tabbed and "\t" not in line and line.startswith("# "):
            continue
        row = line.split("\t") if "\t" in line else [cell for cell in line.split(" ") if cell]
        columns = columns or len(row)
        if len(row) != columns or not row[0] or not row[-1]:
            what = f"has {len(row)} columns, the first line of words {columns}"
            if len(row) == columns:
                what = "has an empty word or label"
            raise InputError(what, path=path, line=number, fix="Give a word a line: WORD<TAB>LABEL")
        rows.append(row)
        lines.append(number)
    return sentences


def _sentence(rows: list[list[str]], lines: list[int]) -> Sentence:
    labels = tuple(row[-1] for row in rows) if len(rows[0]) > 1 else None
    return Sentence(words=tuple(row[0] for row in rows), labels=labels, lines=tuple(lines))
