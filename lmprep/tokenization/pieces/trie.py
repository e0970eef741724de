"""A trie of byte strings, its edges in one hash table.

Node 0 is the root. The edge by `byte` from `node` to `child` is the number
`node << 35 | byte << 27 | child`, in an open-addressing table where it is found by its first two
parts. A child is never the root, so no edge is 0, which marks a free slot.
"""

from __future__ import annotations

import numpy as np

from lmprep.jit import Int, bare_kernel, inline_kernel
from lmprep.ragged import offsets_of
from lmprep.tokenization.pieces.arrays import NONE, Bytes, Int32s, Int64s

ROOT = 0
MOST_NODES = 1 << 27
_CHILD_BITS = 27
_FEWEST_SLOTS = 1024
_FREE = 0
_FACTOR = np.int64(-7046029254386353131)  # 0x9E3779B97F4A7C15, odd and without a pattern


def build_trie(pieces: list[bytes], ids: Int32s) -> tuple[Int64s, Int32s]:
    """The trie in which piece i has `ids[i]`; of equal pieces the last one's.

    Returns:
        The edges, int64, a power of two at most half full, and the id of the piece that ends at
        each node, int32 [nodes], NONE where none does.

    Raises:
        ValueError: the pieces have more bytes than a trie has nodes.
    """
    lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
    if lengths.sum() >= MOST_NODES:
        raise ValueError(f"a vocabulary of {lengths.sum()} bytes is too large for a trie")
    text = np.frombuffer(bytearray(b"".join(pieces)), np.uint8)
    offsets = offsets_of(lengths)
    edges = np.zeros(_FEWEST_SLOTS, np.int64)
    piece_at = np.full(len(text) + 1, NONE, np.int32)
    nodes = np.ones(1, np.int64)
    piece = 0
    while (piece := _add_pieces(text, offsets, ids, piece, edges, piece_at, nodes)) < len(pieces):
        fewer, edges = edges, np.zeros(2 * len(edges), np.int64)
        _copy_edges(fewer, edges)
    return edges, piece_at[: nodes[0]].copy()


@inline_kernel
def _slot_of(edges: Int64s, key: np.int64) -> np.int64:
    """The slot of the edge with this node and byte, or the free one where it belongs."""
    mask = len(edges) - 1
    code = key * _FACTOR
    slot = (code ^ (code >> 32)) & mask
    while edges[slot] != _FREE and edges[slot] >> _CHILD_BITS != key:
        slot = (slot + 1) & mask
    return slot


@inline_kernel
def child_of(edges: Int64s, node: int, byte: int) -> Int:
    """The node that `byte` leads to, or NONE."""
    edge = edges[_slot_of(edges, (np.int64(node) << 8) | np.int64(byte))]
    return NONE if edge == _FREE else edge & (MOST_NODES - 1)


@bare_kernel
def node_of(edges: Int64s, text: Bytes, start: int, stop: int) -> int:
    """The node that text[start:stop] leads to from the root, or NONE."""
    node = ROOT
    while start < stop and node != NONE:
        node = child_of(edges, node, text[start])
        start += 1
    return node


@bare_kernel
def _add_pieces(
    text: Bytes,
    offsets: Int64s,
    ids: Int32s,
    piece: Int,
    edges: Int64s,
    piece_at: Int32s,
    nodes: Int64s,
) -> Int:
    """Add pieces from number `piece` on; returns the first that may find no room, or the
    number of pieces.

    Args:
        nodes: int64 [1], how many there are.
    """
    while piece < len(ids):
        if 2 * (nodes[0] + offsets[piece + 1] - offsets[piece]) > len(edges):
            break
        node: Int = np.int64(ROOT)
        for at in range(offsets[piece], offsets[piece + 1]):
            key = (node << 8) | np.int64(text[at])
            slot = _slot_of(edges, key)
            if edges[slot] == _FREE:
                edges[slot] = (key << _CHILD_BITS) | nodes[0]
                nodes[0] += 1
            node = edges[slot] & (MOST_NODES - 1)
        piece_at[node] = ids[piece]
        piece += 1
    return piece


@bare_kernel
def _copy_edges(edges: Int64s, larger: Int64s) -> None:
    """Put the edges into a larger table, which is empty."""
    for edge in edges:
        if edge != _FREE:
            larger[_slot_of(larger, edge >> _CHILD_BITS)] = edge
