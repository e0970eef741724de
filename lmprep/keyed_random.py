"""Randomness without a generator: a draw is a function of a key and a counter.

The whole specification, so that a second implementation can match it bit for bit (all arithmetic
on unsigned 64-bit integers, modulo 2**64):

    mix(z)          the splitmix64 finaliser:
                        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
                        z = (z ^ (z >> 27)) * 0x94D049BB133111EB
                        z ^ (z >> 31)
    draw(key, n)    mix(key + 0x9E3779B97F4A7C15 * (n + 1))    64 random bits; also the key below
                                                               `key` for a sub-unit with number n
    purpose(text)   the first 8 bytes of SHA-256 of the UTF-8 text, little-endian
    key_for(seed, text, copy, source, partition)
                    draw(draw(draw(draw(mix(seed), purpose(text)), copy), source), partition)
    integer_below(n, key, c)
                    Lemire's method on 32 bits: z = draw(key, c); m = (z >> 32) * n;
                    while m mod 2**32 < (2**32 - n) mod n: z = mix(z), m = (z >> 32) * n;
                    the result is m >> 32. Exactly uniform.
    bernoulli(a, b, key, c)
                    integer_below(b, key, c) < a: true with probability exactly a/b
    permuted(i, n, key)
                    the place of i in a keyed permutation of n things: a Feistel network of 6
                    rounds on 2 * h bits, 2**(2 * h) >= max(n, 4096), h as small as that allows;
                    round r maps (left, right) to (right, left ^ (draw(draw(key, r), right) mod
                    2**h)); values of n or above go through the network again.

Nothing here depends on workers, order, floating point or the C library.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel, inline_kernel, kernel, melted_kernel

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_ONE = np.uint64(1)
_LOW32 = np.uint64(0xFFFFFFFF)
_ROUNDS = 6

Keys = NDArray[np.uint64]


@melted_kernel
def mix(z: np.uint64) -> np.uint64:
    """The splitmix64 finaliser: a bijection of 64 bits in which every output bit looks random."""
    z = np.uint64((z ^ (z >> np.uint64(30))) * _FIRST)
    z = np.uint64((z ^ (z >> np.uint64(27))) * _SECOND)
    return np.uint64(z ^ (z >> np.uint64(31)))


@melted_kernel
def draw(key: np.uint64, counter: int) -> np.uint64:
    """64 random bits for (key, counter); also the key of sub-unit number `counter`."""
    return mix(np.uint64(key + _GOLDEN * (np.uint64(counter) + _ONE)))


@melted_kernel
def integer_below(n: int, key: np.uint64, counter: int) -> int:
    """An integer in 0..n-1, exactly uniform, 1 <= n < 2**32."""
    z = draw(key, counter)
    m = np.uint64((z >> np.uint64(32)) * np.uint64(n))
    if (m & _LOW32) < np.uint64(n):
        threshold = (np.uint64(0x100000000) - np.uint64(n)) % np.uint64(n)
        while (m & _LOW32) < threshold:
            z = mix(z)
            m = np.uint64((z >> np.uint64(32)) * np.uint64(n))
    return np.int64(m >> np.uint64(32))  # type: ignore[return-value]  # numba's int


@inline_kernel
def bernoulli(numerator: int, denominator: int, key: np.uint64, counter: int) -> bool:
    """True with probability exactly numerator / denominator."""
    return integer_below(denominator, key, counter) < numerator


def key_for(
    seed: int, purpose: str, *, copy: int = 0, source: int = 0, partition: int = 0
) -> np.uint64:
    """The key for one purpose in one partition; see the module's specification."""
    if seed < 0:
        raise ValueError(f"seed {seed} is negative")
    text = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "little")
    return np.uint64(_key_chain(np.uint64(seed), np.uint64(text), copy, source, partition))


@bare_kernel
def _key_chain(
    seed: np.uint64, purpose: np.uint64, copy: int, source: int, partition: int
) -> np.uint64:
    return draw(draw(draw(draw(mix(seed), purpose), copy), source), partition)  # type: ignore[arg-type]


@kernel
def sub_keys(key: np.uint64, counters: NDArray[np.int64]) -> Keys:
    """The keys of the sub-units with these numbers (rows of a partition, say): uint64 [N]."""
    keys = np.empty(len(counters), np.uint64)
    for i in range(len(counters)):
        keys[i] = draw(key, counters[i])
    return keys


@bare_kernel
def permuted(index: int, n: int, key: np.uint64) -> int:
    """The place of `index` (0 <= index < n) in the keyed permutation of n things."""
    half = 6
    while (1 << (2 * half)) < n:
        half += 1
    mask = (_ONE << np.uint64(half)) - _ONE
    z = np.uint64(index)
    while True:
        left, right = z >> np.uint64(half), z & mask
        for r in range(_ROUNDS):
            left, right = right, left ^ (draw(draw(key, r), right) & mask)  # type: ignore[arg-type]
        z = (left << np.uint64(half)) | right
        if z < np.uint64(n):
            return np.int64(z)  # type: ignore[return-value]


@kernel
def permutation(n: int, key: np.uint64, start: int = 0, stop: int = -1) -> NDArray[np.int64]:
    """`permuted` for the indices start to stop - 1 (all n by default): int64 [stop - start]."""
    end = n if stop < 0 else stop
    out = np.empty(end - start, np.int64)
    for i in range(start, end):
        out[i - start] = permuted(i, n, key)
    return out
