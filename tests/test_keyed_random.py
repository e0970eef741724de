"""Draws match their written specification, and are uniform."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmprep.jit import kernel
from lmprep.keyed_random import bernoulli, draw, integer_below, key_for, permutation, sub_keys
from tests.strategies import seeds

MODULUS = 1 << 64


def spec_mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % MODULUS
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % MODULUS
    return z ^ (z >> 31)


def spec_draw(key: int, counter: int) -> int:
    return spec_mix((key + 0x9E3779B97F4A7C15 * (counter + 1)) % MODULUS)


def spec_below(n: int, key: int, counter: int) -> int:
    z = spec_draw(key, counter)
    m = (z >> 32) * n
    while m % 2**32 < (2**32 - n) % n:
        z = spec_mix(z)
        m = (z >> 32) * n
    return m >> 32


def spec_permuted(index: int, n: int, key: int) -> int:
    half = 6
    while 1 << (2 * half) < n:
        half += 1
    z = index
    while True:
        left, right = z >> half, z & ((1 << half) - 1)
        for r in range(6):
            left, right = right, left ^ (spec_draw(spec_draw(key, r), right) % (1 << half))
        z = (left << half) | right
        if z < n:
            return z


@kernel
def many_below(n, key, count):
    out = np.empty(count, np.int64)
    for i in range(count):
        out[i] = integer_below(n, key, i)
    return out


@kernel
def share_true(numerator, denominator, key, count):
    total = 0
    for i in range(count):
        total += bernoulli(numerator, denominator, key, i)
    return total / count


def test_the_first_draws_of_splitmix64_are_the_published_ones():
    # The reference generator seeded with 0 begins so (Vigna's splitmix64.c).
    stream = [int(draw(np.uint64(0), n)) for n in range(3)]

    assert stream == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@given(seeds, st.integers(0, 2**40), st.integers(1, 2**32 - 1))
def test_draws_equal_the_specification(seed, counter, n):
    key = key_for(seed, "x")

    assert int(draw(key, counter)) == spec_draw(int(key), counter)
    assert integer_below(n, key, counter) == spec_below(n, int(key), counter)


@given(seeds, st.integers(0, 99), st.integers(0, 2**20), st.integers(0, 2**20))
def test_keys_equal_the_specification(seed, copy, source, partition):
    purpose = int.from_bytes(hashlib.sha256(b"corrupt").digest()[:8], "little")
    expected = spec_mix(seed)
    for value in (purpose, copy, source, partition):
        expected = spec_draw(expected, value)

    assert int(key_for(seed, "corrupt", copy=copy, source=source, partition=partition)) == expected


@given(st.integers(1, 9000), seeds)
def test_a_permutation_equals_the_specification_and_has_each_index_once(n, seed):
    key = key_for(seed, "order")
    order = permutation(n, key)

    assert sorted(order) == list(range(n))
    assert order[n // 2] == spec_permuted(n // 2, n, int(key))


def test_a_slice_of_a_permutation_is_that_part_of_the_whole():
    key = key_for(3, "order")

    assert list(permutation(100, key, 20, 30)) == list(permutation(100, key)[20:30])


def test_all_orders_of_three_things_are_equally_frequent():
    orders = Counter(tuple(permutation(3, key_for(seed, "p")).tolist()) for seed in range(6000))

    assert len(orders) == 6
    assert all(abs(count - 1000) < 5 * np.sqrt(6000 * 5 / 36) for count in orders.values())


@pytest.mark.parametrize("n", [1, 2, 3, 10, 2**31 + 1])
def test_integers_are_uniform(n):
    values = many_below(n, key_for(1, "u"), 300_000)
    buckets = min(n, 10)
    counts = np.bincount(values * buckets // n, minlength=buckets)

    assert values.min() >= 0
    assert values.max() < n
    assert np.all(abs(counts - 300_000 / buckets) < 5 * np.sqrt(300_000 / buckets))


def test_a_probability_is_kept():
    assert abs(share_true(15, 100, key_for(1, "b"), 1_000_000) - 0.15) < 5 * 0.36 / 1000


def test_sub_keys_are_draws():
    key = key_for(5, "rows")

    assert list(sub_keys(key, np.array([0, 7]))) == [draw(key, 0), draw(key, 7)]


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="-1"):
        key_for(-1, "x")
