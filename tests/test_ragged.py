"""Ragged arrays behave like the lists of lists they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.ragged import Ragged, concatenate, offsets_of

rows = st.lists(st.lists(st.integers(0, 1000), max_size=6), min_size=1, max_size=10)


def lists(ragged: Ragged) -> list[list[int]]:
    return [row.tolist() for row in ragged]


@given(rows)
def test_rows_come_back_as_they_were(values):
    ragged = Ragged.from_rows(values, np.int32)

    assert lists(ragged) == values
    assert ragged.lengths.tolist() == [len(row) for row in values]


@given(rows, st.sampled_from((np.int16, np.uint16, np.int32, np.float64)), st.data())
def test_taking_rows_is_indexing(values, dtype, data):
    wanted = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=12))
    taken = Ragged.from_rows(values, dtype).take(np.array(wanted, np.int64))

    assert lists(taken) == [values[i] for i in wanted]
    assert taken.values.dtype == dtype


@given(rows, rows)
def test_concatenation_appends_rows_also_of_slices(first, second):
    flat = Ragged.from_rows([[9, 9], *first, [7]], np.int64)
    middle = Ragged(flat.values, flat.offsets[1:-1])

    assert lists(concatenate([middle, Ragged.from_rows(second, np.int64)])) == first + second


def test_padding_fills_from_the_right():
    dense = Ragged.from_rows([[1, 2], [], [3]], np.uint16).padded(3, -1, np.int64)

    assert dense.tolist() == [[1, 2, -1], [-1, -1, -1], [3, -1, -1]]


def test_padding_refuses_a_longer_row():
    with pytest.raises(ValueError, match="3 values does not fit in 2"):
        Ragged.from_rows([[1, 2, 3]], np.int32).padded(2, 0, np.int32)


@pytest.mark.parametrize("offsets", [[0, 3], [-1, 2], []])
def test_offsets_outside_the_values_are_refused(offsets):
    with pytest.raises(ValueError, match="offsets"):
        Ragged(np.zeros(2, np.int32), np.array(offsets, np.int64))


def test_a_row_outside_is_an_index_error():
    with pytest.raises(IndexError):
        Ragged(np.zeros(2, np.int32), offsets_of([2]))[-1]
