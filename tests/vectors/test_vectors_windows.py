"""CBOW's windows are those of a slow twin."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmprep.keyed_random import key_for, sub_keys
from lmprep.objective_settings import SkipgramSettings
from lmprep.objectives.cbow import draw_windows
from lmprep.objectives.skipgram import noise_table
from lmprep.ragged import Ragged
from tests.vectors import slow_vectors

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=6)


@given(ROWS, st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**40))
def test_they_are_those_of_the_slow_twin(rows, window, negatives, seed):
    noise = noise_table(np.arange(1, 11))
    keys = sub_keys(key_for(seed, "pairs"), np.arange(len(rows)))
    settings = SkipgramSettings(window=window, negatives=negatives)
    expected = [
        found
        for row, key in zip(rows, keys, strict=True)
        for found in slow_vectors.windows(row, window, negatives, noise, key)
    ]

    drawn = draw_windows(Ragged.from_rows(rows, np.int32), settings, noise, keys)

    offsets = drawn.around.offsets
    assert [
        (centre, drawn.around.values[offsets[i] : offsets[i + 1]].tolist(), negative.tolist())
        for i, (centre, negative) in enumerate(zip(drawn.centres, drawn.negatives, strict=True))
    ] == expected
    assert len(drawn) == len(expected)


def test_a_token_alone_in_its_row_has_no_window():
    keys = np.zeros(2, np.uint64)
    rows = Ragged.from_rows([[4], []], np.int32)

    assert len(draw_windows(rows, SkipgramSettings(), noise_table(np.ones(9, np.int64)), keys)) == 0
