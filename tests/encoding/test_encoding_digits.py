"""Rows of ids as decimal numbers, against `str` and `int`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.encoding.digits import notation, read, written
from lmprep.ragged import Ragged

# Each number of digits is as likely as any other.
numbers = st.integers(0, 9).flatmap(lambda n: st.integers(10**n - (n == 0), 10 ** (n + 1) - 1))
ids = numbers.filter(lambda i: i < 2**31)
rows_of_ids = st.lists(st.lists(ids, max_size=6), max_size=6)
EDGES = [[], [0, 9, 10, 99, 100, 2**31 - 1], [], [999_999_999, 1_000_000_000]]


def as_ragged(rows: list[list[int]]) -> Ragged:
    return Ragged.from_rows(rows, np.int32)


def as_bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def slow_text(rows: list[list[int]]) -> str:
    return "".join(" ".join(map(str, row)) + "\n" for row in rows)


@pytest.mark.parametrize("rows", [[], [[]], EDGES])
def test_edges_are_written_as_str_writes_them(rows):
    ragged = as_ragged(rows)

    text = written(ragged.values, ragged.offsets, notation(b"", b" ", b"\n"))

    assert text.tobytes().decode() == slow_text(rows)


@given(rows_of_ids)
def test_rows_are_written_as_json_writes_them(rows):
    ragged = as_ragged(rows)

    text = written(ragged.values, ragged.offsets, notation(b'{"ids": [', b", ", b"]}\n"))

    assert text.tobytes().decode() == "".join(json.dumps({"ids": row}) + "\n" for row in rows)


@given(rows_of_ids, st.sampled_from([" ", "\t", "  "]), st.booleans())
def test_what_is_written_is_read(rows, space, open_end):
    text = "".join(space.join(map(str, row)) + "\n" for row in rows)
    if open_end and rows and rows[-1]:
        text = text[:-1]

    found = read(as_bytes(text))

    assert found.fault == -1
    assert [row.tolist() for row in Ragged(found.ids, found.offsets)] == rows


@pytest.mark.parametrize("word", ["x", "-1", "1.5", "2147483648", "9" * 30, "12a", "é", "1,2"])
def test_the_first_fault_is_found_with_its_place_and_row(word):
    text = f"1 2\n\n3 {word} y\n"

    found = read(as_bytes(text))

    assert found.fault == text.index(word, 6)
    assert len(found.offsets) - 1 == 2


def test_the_largest_id_is_one():
    assert read(as_bytes("2147483647")).ids.tolist() == [2**31 - 1]
