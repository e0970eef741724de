"""The endless order: every row once an epoch, exact shares, any number without its history."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmprep.keyed_random import key_for, permuted
from lmprep.training.order import BLOCK, Order

sizes = st.lists(st.integers(0, 30), min_size=1, max_size=4).filter(any)
shares = st.lists(st.integers(1, 50), min_size=2, max_size=4)


def listed(places) -> list[tuple[int, int, int]]:
    """Dataset, epoch and row of each."""
    columns = (places.dataset_N, places.epoch_N, places.row_N)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def slow(sizes: list[int], seed: int, weights: list[int], number: int) -> tuple[int, int, int]:
    """The specification, one number at a time."""
    if not weights:
        total = sum(sizes)
        epoch, place = divmod(number, total)
        row = permuted(place, total, key_for(seed, "epoch", copy=epoch))
        for dataset, size in enumerate(sizes):
            if row < size:
                return dataset, epoch, row
            row -= size
    block, place = divmod(number, 1024)
    place = permuted(place, 1024, key_for(seed, "mixture", copy=block))
    before, after = quotas(weights, block), quotas(weights, block + 1)
    pool = 0
    while place >= after[pool] - before[pool]:
        place -= after[pool] - before[pool]
        pool += 1
    epoch, place = divmod(before[pool] + place, sizes[pool])
    key = key_for(seed, "epoch", copy=epoch, source=pool)
    return pool, epoch, permuted(place, sizes[pool], key)


def quotas(weights: list[int], blocks: int) -> list[int]:
    """Largest remainders, in exact fractions."""
    exact = [Fraction(1024 * blocks * weight, sum(weights)) for weight in weights]
    counts = [int(share) for share in exact]
    while sum(counts) < 1024 * blocks:
        behind = [share - count for share, count in zip(exact, counts, strict=True)]
        counts[behind.index(max(behind))] += 1
    return counts


@given(sizes, st.integers(0, 2**40), st.integers(0, 5000))
def test_the_order_of_epochs_is_the_specified_one(sizes, seed, start):
    found = listed(Order(sizes, seed).between(start, start + 40))

    assert found == [slow(sizes, seed, [], number) for number in range(start, start + 40)]


@given(st.data(), shares, st.integers(0, 2**40), st.integers(0, 2**41))
def test_the_order_of_a_mixture_is_the_specified_one(data, weights, seed, start):
    sizes = data.draw(st.lists(st.integers(1, 40), min_size=len(weights), max_size=len(weights)))
    order = Order(sizes, seed, [Fraction(weight, 7) for weight in weights])

    found = listed(order.between(start, start + 40))
    assert found == [slow(sizes, seed, weights, number) for number in range(start, start + 40)]


@given(sizes, st.integers(0, 3))
def test_an_epoch_holds_every_row_once(sizes, epoch):
    rows = sum(sizes)
    found = listed(Order(sizes, seed=1).between(epoch * rows, (epoch + 1) * rows))

    assert sorted(found) == [(d, epoch, row) for d, n in enumerate(sizes) for row in range(n)]


def test_epochs_seeds_and_pools_have_orders_of_their_own():
    order, other = Order([500], seed=0), Order([500], seed=1)
    first, second = (order.between(start, start + 500).row_N.tolist() for start in (0, 500))

    assert first != second
    assert first != sorted(first)
    assert first != other.between(0, 500).row_N.tolist()
    mixed = Order([2000, 2000], 0, [Fraction(1), Fraction(1)]).between(0, 4096)
    of_each = [mixed.row_N[mixed.dataset_N == dataset][:500] for dataset in (0, 1)]
    assert of_each[0].tolist() != of_each[1].tolist()


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=50), st.booleans())
def test_any_numbers_in_any_slices_are_the_same_rows(numbers, mixed):
    weights = [Fraction("0.7"), Fraction("0.3")] if mixed else []
    order = Order([70, 300], 5, weights)
    whole = listed(order.between(0, 5001))

    assert listed(order.at(np.array(numbers))) == [whole[number] for number in numbers]


@settings(max_examples=25)
@given(shares)
def test_shares_are_exact_within_a_row_however_long(weights):
    order = Order([9] * len(weights), 0, [Fraction(weight) for weight in weights])
    for block in (0, 1, 2, 977):
        exact = [Fraction(BLOCK * block * weight, sum(weights)) for weight in weights]
        assert all(
            abs(found - share) < 1 for found, share in zip(order._quotas(block), exact, strict=True)
        )
    found = Counter(order.between(0, 3 * BLOCK).dataset_N.tolist())
    assert [found[pool] for pool in range(len(weights))] == order._quotas(3)


def test_a_third_takes_its_odd_row_in_turn():
    order = Order([10, 10, 10], 0, [Fraction(1, 3)] * 3)
    blocks = [Counter(order.between(b * BLOCK, (b + 1) * BLOCK).dataset_N.tolist()) for b in (0, 1)]

    assert [blocks[0][pool] for pool in range(3)] == [342, 341, 341]
    assert [blocks[1][pool] for pool in range(3)] == [341, 342, 341]


def test_each_dataset_of_a_mixture_has_epochs_of_its_own():
    order = Order([100, 7], 3, [Fraction("0.9"), Fraction("0.1")])
    places = order.between(0, 10 * BLOCK)
    for dataset, size in enumerate((100, 7)):
        mine = places.dataset_N == dataset
        seen = Counter(zip(places.epoch_N[mine].tolist(), places.row_N[mine].tolist(), strict=True))
        whole = mine.sum() // size
        assert all(seen[epoch, row] == 1 for epoch in range(whole) for row in range(size))
        assert max(seen.values()) == 1


def test_datasets_come_mixed_within_a_block():
    dataset = Order([900, 900], 0, [Fraction(1), Fraction(1)]).between(0, BLOCK).dataset_N

    assert 400 < np.count_nonzero(np.diff(dataset)) < 624  # 512 expected, of 1023


@pytest.mark.parametrize(
    ("sizes", "weights", "reason"),
    [
        ([0, 0], [], "no rows"),
        ([5, 5], ["1"], "1 weights do not go with 2 datasets"),
        ([5, 0], ["1", "1"], "dataset 2 has a weight but no rows"),
        ([5, 5], ["1", "0"], "weight 2 is a share of 0; the least is one row in 1024"),
        ([5, 5], ["1", "-1"], "the least is"),
        ([5, 5], ["2000", "1"], "weight 2 is a share of 0.0005"),
    ],
)
def test_what_makes_no_order_is_refused(sizes, weights, reason):
    with pytest.raises(ValueError, match=reason):
        Order(sizes, 0, [Fraction(weight) for weight in weights])
