"""The symbols that BPE starts from: the bytes of a word, or its characters."""

from __future__ import annotations

from lmprep.jit import Int, bare_inner_kernel, bare_melted_kernel, inline_kernel
from lmprep.tokenization.pieces.arrays import DROPPED, NONE, Bytes, Int32s, PieceModel
from lmprep.tokenization.pieces.characters import character_end
from lmprep.tokenization.pieces.printable import PRINTABLE_UTF8
from lmprep.tokenization.pieces.trie import ROOT, child_of, node_of


@bare_melted_kernel
def byte_symbols(byte_ids: Int32s, text: Bytes, start: int, stop: int, symbols: Int32s) -> int:
    """One symbol a byte; returns how many, or NONE if a byte has no piece."""
    for at in range(start, stop):
        symbols[at - start] = byte_ids[text[at]]
        if symbols[at - start] == NONE:
            return NONE
    return stop - start


@bare_melted_kernel
def character_symbols(
    model: PieceModel, fuses_unk: bool, text: Bytes, start: int, stop: int, symbols: Int32s
) -> int:
    """One symbol a character; returns how many, or NONE if one can be none.

    A character without a piece becomes the pieces of its bytes, if each of them has one, or else
    the unknown token. That waits until a known character comes, or the next unknown one: bytes in
    between overtake it, as they do in the library.
    """
    count = 0
    waits = False
    while start < stop:
        end = character_end(text, start, stop)
        piece = piece_of(model, text, start, end)
        if piece != NONE:
            if waits:
                symbols[count] = model.unk
                count += 1
            symbols[count] = piece
            count += 1
            waits = False
        elif bytes_have_pieces(model, text, start, end):
            for at in range(start, end):
                symbols[count] = model.fallback_ids[text[at]]
                count += 1
        elif model.unk == NONE:
            return NONE
        elif model.unk != DROPPED:
            if waits and not fuses_unk:
                symbols[count] = model.unk
                count += 1
            waits = True
        start = end
    if waits:
        symbols[count] = model.unk
        count += 1
    return count


@inline_kernel
def piece_of(model: PieceModel, text: Bytes, start: int, stop: int) -> int:
    """The piece that text[start:stop] is, or NONE."""
    node = node_of(model.edges, text, start, stop)
    return NONE if node == NONE else model.piece_at[node]


@bare_inner_kernel
def bytes_as_piece(model: PieceModel, text: Bytes, start: int, stop: int) -> Int:
    """The piece that the bytes text[start:stop] are when printed, or NONE."""
    node = ROOT
    for at in range(start, stop):
        first, second = PRINTABLE_UTF8[text[at]]
        node = child_of(model.edges, node, first)
        if node != NONE and second:
            node = child_of(model.edges, node, second)
        if node == NONE:
            return NONE
    return model.piece_at[node]


@bare_inner_kernel
def bytes_have_pieces(model: PieceModel, text: Bytes, start: int, stop: int) -> bool:
    """Whether each byte has a piece to fall back to."""
    for at in range(start, stop):  # noqa: SIM110, kernels know no generators
        if model.fallback_ids[text[at]] == NONE:
            return False
    return True
