"""What the kernels of this package work on: a model of pieces as flat arrays, and work arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]

NONE = -1
"""No piece, no node, no neighbour, no id: the library has to be asked."""
DROPPED = -2
"""The `unk` of a BPE model without unknown token, which leaves unknown characters out."""


class PieceModel(NamedTuple):
    """Any model, V pieces.

    What makes a model one of a kind is None in those of another, so that each kind has a compiled
    type of its own, and who uses WordPiece does not wait until the code of the others is compiled.
    All else is empty where it is not needed.
    """

    unk: int  # id of the unknown token, NONE or DROPPED
    edges: Int64s  # the trie of the pieces' bytes, see `trie`
    piece_at: Int32s  # [nodes], id of the piece that ends at this node, or NONE
    most_characters: int  # WordPiece: a longer word is unknown
    words_first: bool  # BPE `ignore_merges`: a word that is a piece is not merged
    fallback_ids: Int32s  # [256], BPE of characters and Unigram: the piece for a byte, or NONE
    unknown_score: float  # Unigram: that of a character without a piece
    continuing: int | None  # WordPiece: node where pieces within a word begin, or NONE
    merges: Int64s | None  # BPE, see `merge_table`
    byte_ids: Int32s | None  # [256], BPE of bytes: a byte's own piece, or NONE
    fuses_unk: bool | None  # BPE of characters: a run of unknown characters is one token
    scores: Floats | None  # [V], Unigram: the logarithm of a piece's probability, by id
    words_only: bool | None  # WordLevel: a word is one piece, or unknown


class Scratch(NamedTuple):
    """Work arrays for words of up to B bytes; their contents mean nothing between words."""

    before: Int32s  # [B + 1]
    after: Int32s  # [B + 1]
    ranked: Int64s  # [B + 1]
    heap: Int64s  # [2 B + 2]
    scores: Floats  # [B + 1]


def scratch_for(size: int) -> Scratch:
    """Work arrays for words of up to `size` bytes; 40 bytes of memory for each."""
    return Scratch(
        np.empty(size + 1, np.int32),
        np.empty(size + 1, np.int32),
        np.empty(size + 1, np.int64),
        np.empty(2 * size + 2, np.int64),
        np.empty(size + 1, np.float64),
    )
