"""The merges of a BPE model, in one hash table.

Two places a slot: the pair `left << 32 | right`, and what becomes of it, `rank << 32 | joined`. The
lower the rank the earlier the merge, so of two outcomes the smaller number comes first.
"""

from __future__ import annotations

import numpy as np

from lmprep.jit import bare_kernel, inline_kernel
from lmprep.tokenization.pieces.arrays import Int32s, Int64s
from lmprep.tokenization.scanning.bits import peek

NO_MERGE = np.int64(2**63 - 1)
"""The outcome of a pair that is not merged: after all others."""
_FREE = np.int64(-1)
_FACTOR = np.int64(-7046029254386353131)  # 0x9E3779B97F4A7C15, odd and without a pattern


def merge_table(pairs: Int32s, joined: Int32s) -> Int64s:
    """The table of the merges.

    Args:
        pairs: int32 [M, 2], left and right id of each merge, the first to be done first.
        joined: int32 [M], the id of what they become.
    """
    table = np.full((1 << (2 * len(joined)).bit_length(), 2), _FREE, np.int64)
    _fill(table.reshape(-1), pairs, joined)
    return table.reshape(-1)


@inline_kernel
def _slot_of(merges: Int64s, key: np.int64) -> np.int64:
    """Where the pair stands in `merges`, or the free place for it."""
    mask = len(merges) - 2
    code = key * _FACTOR
    slot = (code ^ (code >> 31)) & mask
    while peek(merges, slot) != key and peek(merges, slot) != _FREE:
        slot = (slot + 2) & mask
    return slot


@inline_kernel
def outcome(merges: Int64s, left: int, right: int) -> np.int64:
    """`rank << 32 | joined` of a pair of ids, or NO_MERGE."""
    key = (np.int64(left) << 32) | np.int64(right)
    slot = _slot_of(merges, key)
    return peek(merges, slot + 1) if peek(merges, slot) == key else NO_MERGE


@bare_kernel
def _fill(merges: Int64s, pairs: Int32s, joined: Int32s) -> None:
    for rank in range(len(joined)):
        key = (np.int64(pairs[rank, 0]) << 32) | np.int64(pairs[rank, 1])
        slot = _slot_of(merges, key)
        merges[slot] = key
        merges[slot + 1] = (np.int64(rank) << 32) | np.int64(joined[rank])
