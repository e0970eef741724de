"""WordPiece: the longest piece that fits, again and again (arXiv:1609.08144, section 4.1)."""

from __future__ import annotations

import numpy as np

from lmprep.jit import Int, bare_inner_kernel, inline_kernel
from lmprep.tokenization.pieces.arrays import NONE, Bytes, Int32s, PieceModel
from lmprep.tokenization.pieces.trie import ROOT, child_of


@bare_inner_kernel
def match_longest(
    model: PieceModel, continuing: int, text: Bytes, start: int, stop: int, ids: Int32s
) -> int:
    """Write the ids of the word text[start:stop]; returns how many, or NONE.

    Args:
        continuing: that of the model.
    """
    if _has_more_characters(text, start, stop, model.most_characters):
        return _unknown_word(model, ids)
    count = 0
    root: Int = np.int64(ROOT)
    while start < stop:
        piece, end = _longest_piece(model, text, start, stop, root)
        if piece == NONE:
            return _unknown_word(model, ids)
        ids[count] = piece
        count += 1
        start = end
        root = continuing
    return count


@bare_inner_kernel
def _longest_piece(
    model: PieceModel, text: Bytes, start: int, stop: int, root: int
) -> tuple[int, int]:
    """The longest piece from `root` on that text[start:stop] begins with, and where it ends."""
    piece: Int = np.int64(NONE)
    end, node = start, root
    for at in range(start, stop):
        if node == NONE:
            break
        node = child_of(model.edges, node, text[at])
        if node != NONE and model.piece_at[node] != NONE:
            piece, end = model.piece_at[node], at + 1
    return piece, end


@bare_inner_kernel
def _has_more_characters(text: Bytes, start: int, stop: int, most: int) -> bool:
    if stop - start <= most:
        return False
    characters = 0
    for at in range(start, stop):
        characters += (text[at] & 0xC0) != 0x80  # all bytes but those that continue a character
    return characters > most


@inline_kernel
def _unknown_word(model: PieceModel, ids: Int32s) -> int:
    """The whole word is one unknown token."""
    ids[0] = model.unk
    return NONE if model.unk == NONE else 1
