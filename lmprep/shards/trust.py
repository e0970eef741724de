"""Record batches checked before any of their values is used.

Rows are found by address (`shards.gather`) and their values become indices, so a file that was
written with intent must not be able to point anywhere. Arrow's own full validation sees to offsets
and lengths; here it is the types of columns, compression (a few kilobytes can stand for gigabytes),
missing values, ids, positions, and how long columns that go together are.
"""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmprep.shards.schema import flat

# By what a column holds; other columns of lists hold flags.
IDS = ("input_ids", "masked_labels", "labels")
POSITIONS = ("masked_positions", "document_starts", "span_starts")
# Rows of the second are as long as those of the first.
_ALIKE = (("masked_positions", "masked_labels"), ("span_starts", "span_lengths"))
_WORDS = ("word", "context")

Lengths = np.ndarray[tuple[int], np.dtype[np.int32]]

_PLAIN = {pa.int8(), pa.int32(), pa.int64(), pa.float32(), pa.uint16()}
_LISTED = {pa.int8(), pa.uint16(), pa.int32(), pa.bool_()}

_HEADER_SLOT, _COMPRESSION_SLOT = 2, 3


def check_schema(schema: pa.Schema) -> None:
    """Raise `ValueError` for a column of a type that lmprep does not write."""
    for field in schema:
        listed = pa.types.is_list(field.type)
        if (field.type.value_type not in _LISTED) if listed else (field.type not in _PLAIN):
            raise ValueError(f"column {field.name} is of type {field.type}")
    if len(set(schema.names)) < len(schema.names):
        raise ValueError("two columns have the same name")


def check_message(message: pa.ipc.Message) -> None:
    """Raise `ValueError` unless a message is a record batch without compression.

    The header is a FlatBuffers table (Message.fbs of Arrow's format): of the message, field 2 is
    the header, and of a record batch, field 3 is the compression. Arrow has checked that offsets
    stay inside.
    """
    if message.type != "record batch":
        raise ValueError(f"a {message.type} where a record batch should be")
    data = message.metadata.to_pybytes()
    table = struct.unpack_from("<I", data)[0]
    header = _field(data, table, _HEADER_SLOT)
    if header is None:
        raise ValueError("a message without a header")
    batch = header + struct.unpack_from("<I", data, header)[0]
    if _field(data, batch, _COMPRESSION_SLOT) is not None:
        raise ValueError("a compressed record batch; lmprep writes none")


def _field(data: bytes, table: int, slot: int) -> int | None:
    """Where field `slot` of a FlatBuffers table lies; None where it has none."""
    virtual = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, virtual)[0]
    place = 4 + 2 * slot
    if place + 2 > size:
        return None
    offset = struct.unpack_from("<H", data, virtual + place)[0]
    return table + offset if offset else None


def check_arrow(batch: pa.RecordBatch) -> None:
    """Raise `ValueError` or `pa.ArrowException` unless all that is said to be there is there."""
    batch.validate(full=True)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        listed = pa.types.is_list(column.type)
        if column.null_count or (listed and column.values.null_count):
            raise ValueError(f"column {name} has nulls")
        if column.offset or (listed and column.values.offset):
            raise ValueError(f"column {name} does not begin at its first value")


def check_values(batch: pa.RecordBatch, vocabulary_size: int | None) -> None:
    """Raise `ValueError` for values that would point outside a table or a row.

    Args:
        vocabulary_size: what ids must be below; None where that is not known.
    """
    names = set(batch.schema.names)
    for name in names.intersection((*IDS, *POSITIONS)):
        _lengths(batch.column(name))  # of lists
    for name in names.intersection((*IDS, *_WORDS)):
        _check_below(batch.column(name), vocabulary_size, name)
    if "input_ids" not in names or not pa.types.is_list(batch.column("input_ids").type):
        return
    lengths = _lengths(batch.column("input_ids"))
    for name in names.intersection(POSITIONS):
        _check_positions(batch.column(name), lengths, name)
    for one, other in _ALIKE:
        if {one, other} <= names and not np.array_equal(
            _lengths(batch.column(one)), _lengths(batch.column(other))
        ):
            raise ValueError(f"rows of {one} and {other} are not equally long")
    if "span_starts" in names:
        _check_spans(batch, lengths)
    if "word_start" in names:
        # BART stores those of the text, which stands between two tokens in the labels.
        text = _lengths(batch.column("labels")) - 2 if "labels" in names else lengths
        if not np.array_equal(_lengths(batch.column("word_start")), text):
            raise ValueError("rows of word_start are not as long as those of their text")


def _lengths(column: pa.Array) -> Lengths:
    if not pa.types.is_list(column.type):
        raise ValueError(f"a column of {column.type} where lists should be")
    lengths: Lengths = np.diff(flat(column.offsets))
    return lengths


def _check_spans(batch: pa.RecordBatch, lengths: Lengths) -> None:
    """Spans end inside their rows; where they begin is known to be inside."""
    starts, spans = batch.column("span_starts"), batch.column("span_lengths")
    limits = np.repeat(lengths, _lengths(starts))
    begin, long = (_held(column).astype(np.int64) for column in (starts, spans))
    if ((long < 0) | (begin + long > limits)).any():
        raise ValueError("column span_lengths has a span that leaves its row")


def _held(column: pa.ListArray) -> np.ndarray[tuple[int], np.dtype[np.integer]]:
    """The values in the rows of a column of lists."""
    offsets = flat(column.offsets)
    return flat(column.values)[offsets[0] : offsets[-1]]


def _check_below(column: pa.Array, limit: int | None, name: str) -> None:
    if limit is None:
        return
    ends = pc.min_max(column.values if pa.types.is_list(column.type) else column).as_py()
    if ends["min"] is None:
        return  # there are none
    if ends["min"] < 0 or ends["max"] >= limit:
        outside = ends["min"] if ends["min"] < 0 else ends["max"]
        raise ValueError(f"id {outside} in column {name} is outside a vocabulary of {limit}")


def _check_positions(column: pa.Array, lengths: Lengths, name: str) -> None:
    limits = np.repeat(lengths, _lengths(column))
    held = _held(column).astype(np.int64)
    if ((held < 0) | (held >= limits)).any():
        raise ValueError(f"column {name} has a position outside its row")
