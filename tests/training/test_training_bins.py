"""Bins: packed by best-fit decreasing, in the order of their rows, cut among processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.training.bins import one_row_each, pack, slots

LENGTH = 24
row_lengths = st.lists(st.integers(1, LENGTH), min_size=1, max_size=60)


def best_fit(lengths: list[int], count: int, length: int) -> list[int] | None:
    """The slow twin: the bin of each row, before bins are renumbered; None if they do not fit."""
    room = [length] * count
    filled_at = list(range(0, -count, -1))  # the bin filled last comes first; then the lowest
    bins = [0] * len(lengths)
    rows = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    for time, row in enumerate(rows, 1):
        fitting = [each for each in range(count) if room[each] >= lengths[row]]
        if not fitting:
            return None
        chosen = min(fitting, key=lambda each: (room[each], -filled_at[each]))
        bins[row], filled_at[chosen] = chosen, time
        room[chosen] -= lengths[row]
    return bins


def renumbered(bins: list[int]) -> list[int]:
    order = list(dict.fromkeys(bins))
    return [order.index(each) for each in bins]


@given(row_lengths, st.integers(1, 8))
def test_the_packing_is_best_fit_decreasing_of_a_run_that_cannot_grow(lengths, count):
    packed = pack(np.array(lengths), count, LENGTH)
    rows = len(packed)

    assert rows >= min(count, len(lengths)) >= 1
    found = best_fit(lengths[:rows], count, LENGTH)
    assert found is not None
    if min(lengths[:count]) < LENGTH:
        assert packed.bin_N.tolist() == renumbered(found)
    assert rows == len(lengths) or best_fit(lengths[: rows + 1], count, LENGTH) is None


@given(row_lengths, st.integers(1, 8))
def test_rows_lie_side_by_side_in_their_order_and_bins_in_that_of_their_first(lengths, count):
    packed = pack(np.array(lengths), count, LENGTH)
    filled = [0] * packed.count
    for row, each in enumerate(packed.bin_N.tolist()):
        assert packed.start_N[row] == filled[each]
        filled[each] += lengths[row]

    assert max(filled) <= LENGTH
    firsts = [packed.bin_N.tolist().index(each) for each in sorted(set(packed.bin_N.tolist()))]
    assert firsts == sorted(firsts)
    assert sorted(set(packed.bin_N.tolist())) == list(range(len(firsts)))


def test_no_packing_could_take_the_next_row():
    rng = np.random.default_rng(0)
    left_out = set()
    for _ in range(100):
        lengths = rng.integers(5, LENGTH + 1, 60)
        rows = len(pack(lengths, 8, LENGTH))
        left_out.add(int(np.searchsorted(np.cumsum(lengths), 8 * LENGTH, side="right")) - rows)
        assert best_fit(lengths[:rows].tolist(), 8, LENGTH) is not None
        assert best_fit(lengths[: rows + 1].tolist(), 8, LENGTH) is None

    assert left_out >= {0, 1, 2, 3}  # what the room alone would have let in


def test_a_packing_by_hand():
    # Two bins of 10. Longest first: 7 -> A, 6 -> B, 3 -> A (room 3, not 4), 3 -> B, 1 -> B; the 2
    # would not go in any more.
    packed = pack(np.array([3, 7, 6, 3, 1, 2]), 2, 10)

    assert packed.bin_N.tolist() == [0, 0, 1, 1, 1]
    assert packed.start_N.tolist() == [0, 3, 0, 6, 9]
    assert (packed.count, packed.length) == (2, 10)
    assert packed.flat_N.tolist() == [0, 3, 10, 16, 19]


def test_full_rows_take_a_bin_each():
    packed = pack(np.array([8, 8, 8, 8, 2]), 3, 8)

    assert packed.bin_N.tolist() == [0, 1, 2]
    assert not packed.start_N.any()


def test_lengths_as_of_real_documents_fill_nearly_all_positions():
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(4, 1, 20_000), 3, 512).astype(np.int64)
    packed = pack(lengths, 64, 512)

    assert lengths[: len(packed)].sum() > 0.99 * 64 * 512
    alone = lengths[:64].sum() / (64 * 512)
    assert alone < 0.25


@given(row_lengths, st.integers(1, 8), st.integers(1, 5), st.sampled_from([None, 1, 2, 3]))
def test_the_parts_of_all_processes_are_the_whole(lengths, count, ranks, micro_rows):
    whole = pack(np.array(lengths), count, LENGTH)
    own = [cut for rank in range(ranks) for cut in slots(count, rank, ranks, micro_rows)]
    seen = []
    for first, stop in own:
        rows, part = whole.between(first, stop)
        assert (part.bin_N + first).tolist() == whole.bin_N[rows].tolist()
        assert part.start_N.tolist() == whole.start_N[rows].tolist()
        assert np.all(np.diff(part.flat_N) > 0)
        assert part.count == stop - first
        seen += rows.tolist()

    assert sorted(seen) == list(range(len(whole)))
    assert [first for first, _ in own[1:]] == [stop for _, stop in own[:-1]]
    assert (own[0][0], own[-1][1]) == (0, count)
    assert max(stop - first for first, stop in own) <= (micro_rows or count)


def test_every_process_has_as_many_slots_as_every_other():
    assert slots(10, 0, 2, 3) == [(0, 2), (2, 5)]
    assert slots(10, 1, 2, 3) == [(5, 7), (7, 10)]
    assert slots(10, 0, 1, None) == [(0, 10)]
    assert slots(5, 0, 3, 1) == [(0, 0), (0, 1)]  # six slots for five bins


@pytest.mark.parametrize("rows", [1, 4])
def test_a_bin_for_every_row(rows):
    bins = one_row_each(rows, 16)

    assert bins.flat_N.tolist() == [16 * row for row in range(rows)]
    assert (len(bins), bins.count) == (rows, rows)
    assert bins.with_count(9).count == 9
