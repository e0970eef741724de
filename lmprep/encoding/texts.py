"""Input files to the texts that are encoded one by one: the lines of text, the records of JSON.

Not the reader of a corpus: no documents, and no line is left out. Every line of a text file is a
text, an empty one too, and every record of a JSON Lines file; only a line without a record, between
two of them, is none. A line ends at `\\n` or `\\r\\n`; of a record the text is taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from lmprep.corpus import columns
from lmprep.corpus.blocks import whole_lines
from lmprep.corpus.records import record_error, text_in
from lmprep.corpus.sources import TABLES, InputFile, Part
from lmprep.corpus.whitespace import ASCII_SPACE
from lmprep.errors import InputError


def read_lines(file: InputFile) -> Iterator[bytes]:
    """The lines of a text file in blocks: valid UTF-8, each line with one `\\n` behind it.

    Raises:
        InputError: it cannot be read or decoded.
    """
    for lines in whole_lines(Part(file=file)):
        lines.decode()  # its failure is what matters
        data = lines.data if lines.data.endswith(b"\n") else lines.data + b"\n"
        yield data.replace(b"\r\n", b"\n")


def read_texts(file: InputFile, field: str) -> Iterator[list[bytes]]:
    """The texts of a JSON Lines, Parquet or Arrow file in blocks, as UTF-8.

    Raises:
        InputError: it cannot be read, or a line or row has no text.
    """
    if file.format in TABLES:
        yield from _read_rows(file, field)
        return
    for lines in whole_lines(Part(file=file)):
        texts = []
        for number, record in enumerate(lines.decode().split("\n")):
            if record.strip(ASCII_SPACE):
                try:
                    texts.append(text_in(record, field))
                except ValueError as error:
                    raise record_error(lines, number, error, field) from error
        yield texts


def _read_rows(file: InputFile, field: str) -> Iterator[list[bytes]]:
    row = 0
    for column in columns.read_texts(Part(file=file), field):
        if column.null_count:
            first = row + column.is_null().to_pylist().index(True) + 1
            what = f"row {first} has no text in column {field!r}"
            raise InputError(what, fix="Mend the file", path=file.path)
        row += len(column)
        yield column.cast("large_binary").to_pylist()
