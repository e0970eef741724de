"""Tables to documents: the rows of a Parquet or Arrow file, the text in one column.

Only that column is read, some rows at a time. Rows whose text is empty or only whitespace are left
out and counted, as records are. An Arrow file may be an IPC file or an IPC stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lmprep.batches import Drops
from lmprep.corpus.partitions import Piece
from lmprep.corpus.sources import Part
from lmprep.corpus.storage import open_input
from lmprep.errors import InputError
from lmprep.settings import CorpusSettings

_ROWS = 1024
"""Rows read at a time: documents may be of megabytes."""
_ARROW_MAGIC = b"ARROW1"


def read_columns(part: Part, settings: CorpusSettings) -> Iterator[Piece]:
    """The documents of a Parquet or Arrow file.

    Raises:
        InputError: it cannot be read, is damaged, has no such column of texts, or a row has none.
    """
    row = missing = 0
    for column in read_texts(part, settings.text_field):
        if column.null_count:
            if settings.on_error == "stop":
                first = row + int(pc.index(column.is_null(), True).as_py())
                what = f"row {first + 1} has no text in column {settings.text_field!r}"
                fix = "Mend the file, or leave such rows out with --on-error skip"
                raise InputError(what, fix=fix, path=part.file.path)
            missing += column.null_count
        row += len(column)
        yield _piece(column)
    if missing:
        what = f"{part.file.path}: {missing} rows without a text were left out"
        empty = np.empty(0, np.uint8)
        yield Piece(text=empty, starts=np.empty(0, np.int64), warnings=(what,))


def read_texts(part: Part, field: str) -> Iterator[pa.LargeStringArray]:
    """The column of texts, some rows at a time; a row may be null.

    Raises:
        InputError: it cannot be read, is damaged, or has no such column of texts.
    """
    read = _parquet if part.file.format == "parquet" else _arrow
    try:
        with open_input(part.file.path) as handle:
            for batch in read(handle, field):
                batch.validate(full=True)  # lengths and UTF-8: nothing in the file is believed
                for first in range(0, len(batch), _ROWS):
                    yield _strings(batch.slice(first, _ROWS).column(field), field)
    except KeyError as error:
        names = ", ".join(repr(name) for name in error.args[0][:10]) or "none"
        what = f"has no column {field!r}; its columns: {names}"
        fix = "Name the one that holds the text with --text-field"
        raise InputError(what, fix=fix, path=part.file.path) from None
    except pa.ArrowTypeError as error:
        fix = "Name a column of strings with --text-field"
        raise InputError(str(error), fix=fix, path=part.file.path) from None
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).split("\n")[0]
        what = f"is damaged, or is not the {part.file.format} file its name says ({reason})"
        raise InputError(what, fix="Fetch or write it again", path=part.file.path) from error


def _parquet(handle: IO[bytes], field: str) -> Iterator[pa.RecordBatch]:
    file = pq.ParquetFile(handle)
    if field not in file.schema_arrow.names:
        raise KeyError(file.schema_arrow.names)
    yield from file.iter_batches(batch_size=_ROWS, columns=[field])


def _arrow(handle: IO[bytes], field: str) -> Iterator[pa.RecordBatch]:
    is_file = handle.read(len(_ARROW_MAGIC)) == _ARROW_MAGIC
    handle.seek(0)
    source = pa.PythonFile(handle)
    if not is_file:
        with pa.ipc.open_stream(source) as stream:
            _check_schema(stream.schema, field)
            for batch in stream:
                yield batch.select([field])
        return
    with pa.ipc.open_file(source) as file:
        _check_schema(file.schema, field)
        for i in range(file.num_record_batches):
            yield file.get_batch(i).select([field])


def _check_schema(schema: pa.Schema, field: str) -> None:
    if field not in schema.names:
        raise KeyError(schema.names)


def _strings(column: pa.Array, field: str) -> pa.LargeStringArray:
    type = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(type) or pa.types.is_large_string(type)):
        raise pa.ArrowTypeError(f"has {column.type} in column {field!r}, not strings")
    return column.cast(pa.large_string())


def _piece(column: pa.LargeStringArray) -> Piece:
    """The rows that have a text."""
    kept = column.filter(pc.greater(pc.binary_length(pc.ascii_trim_whitespace(column)), 0))
    drops = Drops()
    if column.null_count:
        drops["bad_records"] = column.null_count
    if empty := len(column) - column.null_count - len(kept):
        drops["empty_documents"] = empty
    if not len(kept):
        return Piece(text=np.empty(0, np.uint8), starts=np.empty(0, np.int64), drops=drops)
    _, offsets, data = kept.buffers()
    bounds = np.frombuffer(offsets, np.int64)[kept.offset : kept.offset + len(kept) + 1]
    text = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
    return Piece(text=text, starts=bounds[:-1] - bounds[0], drops=drops)
