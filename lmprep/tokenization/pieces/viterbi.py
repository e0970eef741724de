"""Unigram: the likeliest pieces of a word, by Viterbi's algorithm (arXiv:1804.10959, section 3.2).

Of equally likely ways to a place that with the longer last piece is taken. A character that is no
piece by itself may be unknown, at a cost; neighbours that are unknown make one token.

Places are counted from the start of the word. Of the likeliest way to a place, `scratch.scores`
has the score, `scratch.before` the place where its last piece begins, or NONE before there is a
way, and `scratch.after` that piece.
"""

from __future__ import annotations

import numpy as np

from lmprep.jit import Int, bare_inner_kernel, inline_kernel
from lmprep.tokenization.pieces.arrays import NONE, Bytes, Floats, Int32s, PieceModel, Scratch
from lmprep.tokenization.pieces.characters import character_end
from lmprep.tokenization.pieces.symbols import bytes_have_pieces, piece_of
from lmprep.tokenization.pieces.trie import ROOT, child_of


@bare_inner_kernel
def likeliest(
    model: PieceModel,
    scores: Floats,
    text: Bytes,
    start: int,
    stop: int,
    ids: Int32s,
    scratch: Scratch,
) -> Int:
    """Write the ids of the word text[start:stop]; returns how many, or NONE.

    Args:
        scores: those of the model.
    """
    scratch.scores[0] = 0.0
    for place in range(1, stop - start + 1):
        scratch.before[place] = NONE
    at = start
    while at < stop:
        end = character_end(text, at, stop)
        if not _offer_pieces(model, scores, text, start, at, stop, end, scratch):
            score = model.unknown_score + scratch.scores[at - start]
            offered = _offer(scratch, at - start, end - start, score, model.unk)
            if offered and model.unk == NONE:
                return NONE
        at = end
    return _trace(model, text, start, stop, ids, scratch)


@bare_inner_kernel
def _offer_pieces(
    model: PieceModel,
    scores: Floats,
    text: Bytes,
    start: int,
    at: int,
    stop: int,
    end: int,
    scratch: Scratch,
) -> bool:
    """Offer all pieces that begin at `at`; returns whether one of them ends at `end`."""
    score = scratch.scores[at - start]
    single = False
    node: Int = np.int64(ROOT)
    for last in range(at, stop):
        node = child_of(model.edges, node, text[last])
        if node == NONE:
            break
        piece: Int = model.piece_at[node]
        if piece != NONE:
            single |= last + 1 == end
            _offer(scratch, at - start, last + 1 - start, scores[piece] + score, piece)
    return bool(single)


@inline_kernel
def _offer(scratch: Scratch, begin: int, end: int, score: float, piece: Int) -> bool:
    """Take this way to the place `end` if it is likelier than that so far; returns whether so."""
    better = scratch.before[end] == NONE or score > scratch.scores[end]
    if better:
        scratch.scores[end] = score
        scratch.before[end] = begin
        scratch.after[end] = piece
    return bool(better)


@bare_inner_kernel
def _trace(
    model: PieceModel, text: Bytes, start: int, stop: int, ids: Int32s, scratch: Scratch
) -> Int:
    """Write the pieces of the likeliest way, which is known from its end; returns how many."""
    count: Int = np.int64(0)
    place = stop - start
    while place > 0:
        end = place
        while place > 0 and scratch.after[place] == model.unk:
            place = scratch.before[place]
        if place < end:
            count = _write_unknown(model, text, start + place, start + end, ids, count)
        else:
            ids[count] = scratch.after[place]
            count += 1
            place = scratch.before[place]
    _reverse(ids, count)
    return count


@inline_kernel
def _reverse(ids: Int32s, count: int) -> None:
    for i in range(count // 2):
        ids[i], ids[count - 1 - i] = ids[count - 1 - i], ids[i]


@bare_inner_kernel
def _write_unknown(
    model: PieceModel, text: Bytes, start: int, stop: int, ids: Int32s, count: int
) -> int:
    """Write a run of unknown characters, backwards; returns the new number of ids.

    Together they may be a piece, one that is even less likely than they are, and then they count
    as that. Or else they are the pieces of their bytes, if each of them has one.
    """
    whole = piece_of(model, text, start, stop)
    if whole == NONE and bytes_have_pieces(model, text, start, stop):
        for at in range(stop - 1, start - 1, -1):
            ids[count] = model.fallback_ids[text[at]]
            count += 1
        return count
    ids[count] = model.unk if whole == NONE else whole
    return count + 1
