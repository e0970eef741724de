"""Rows of ids as decimal numbers, written and read without a Python object per number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel, inline_kernel

Bytes = NDArray[np.uint8]
Ids = NDArray[np.int32]
Offsets = NDArray[np.int64]

_ZERO, _NINE, _NEWLINE = 48, 57, 10
_LARGEST = 2**31 - 1


class Notation(NamedTuple):
    """What stands around the numbers of a row: uint8 arrays, from `notation`."""

    before: Bytes
    between: Bytes
    after: Bytes


def notation(before: bytes, between: bytes, after: bytes) -> Notation:
    """A row's frame: `notation(b"", b" ", b"\\n")` writes `12 7 300` and a newline."""
    return Notation(*(np.frombuffer(part, np.uint8) for part in (before, between, after)))


def written(ids: Ids, offsets: Offsets, frame: Notation) -> Bytes:
    """Rows of ids as text.

    Args:
        ids: int32 [T], none negative.
        offsets: int64 [N + 1], into `ids`.
        frame: what stands around the numbers.
    """
    widest = len(str(ids.max())) if len(ids) else 0
    around = (len(offsets) - 1) * (len(frame.before) + len(frame.after))
    out = np.empty(len(ids) * (widest + len(frame.between)) + around, np.uint8)
    return out[: _write(ids, offsets, frame.before, frame.between, frame.after, out)]


class Numbers(NamedTuple):
    """Lines of numbers as they were read.

    Args:
        ids: int32 [T].
        offsets: int64 [N + 1], into `ids`, a row for each line.
        fault: place in the text of the first number that is none or beyond int32; -1 without.
    """

    ids: Ids
    offsets: Offsets
    fault: int


def read(text: Bytes) -> Numbers:
    """Read lines of decimal numbers with whitespace between them.

    Args:
        text: uint8 [B]; each line ends with a newline, but perhaps the last.
    """
    ids = np.empty(len(text) // 2 + 1, np.int32)
    offsets = np.zeros(np.count_nonzero(text == _NEWLINE) + 2, np.int64)
    numbers, rows, fault = _read(text, ids, offsets)
    return Numbers(ids[:numbers], offsets[: rows + 1], fault)


@bare_kernel
def _write(
    ids: Ids, offsets: Offsets, before: Bytes, between: Bytes, after: Bytes, out: Bytes
) -> int:
    """Write all rows into `out`, and return how many bytes that took."""
    at = 0
    for row in range(len(offsets) - 1):
        at = _copy(before, out, at)
        for i in range(offsets[row], offsets[row + 1]):
            if i > offsets[row]:
                at = _copy(between, out, at)
            at = _write_number(np.uint32(ids[i]), out, at)
        at = _copy(after, out, at)
    return at


@inline_kernel
def _copy(part: Bytes, out: Bytes, at: int) -> int:
    """Write `part` at `at`, and return where it ends."""
    for j in range(len(part)):  # by index: iterating an array counts a reference to it each time
        out[at + j] = part[j]
    return at + len(part)


@inline_kernel
def _write_number(value: np.uint32, out: Bytes, at: int) -> int:
    """Write a number at `at`, and return where it ends."""
    width, bound = 1, np.uint64(10)
    while value >= bound:
        width += 1
        bound *= np.uint64(10)
    for place in range(at + width - 1, at - 1, -1):
        tenth = np.uint32(value // np.uint32(10))
        out[place] = _ZERO + value - tenth * np.uint32(10)
        value = tenth
    return at + width


@bare_kernel
def _read(text: Bytes, ids: Ids, offsets: Offsets) -> tuple[int, int, int]:
    """Numbers read, lines read, and the place of the first number at fault or -1."""
    numbers = rows = at = 0
    while at < len(text):
        byte = text[at]
        if byte == _NEWLINE:
            rows += 1
            offsets[rows] = numbers
            at += 1
        elif _is_space(byte):
            at += 1
        else:
            start, value = at, 0
            while at < len(text) and _ZERO <= text[at] <= _NINE and value <= _LARGEST:
                value = 10 * value + text[at] - _ZERO
                at += 1
            if (at < len(text) and not _is_space(text[at])) or value > _LARGEST:
                return numbers, rows, start
            ids[numbers] = value
            numbers += 1
    if len(text) > 0 and text[-1] != _NEWLINE:
        rows += 1
        offsets[rows] = numbers
    return numbers, rows, -1


@inline_kernel
def _is_space(byte: int) -> bool:
    """Space, and tab to carriage return."""
    return byte == 32 or 9 <= byte <= 13
