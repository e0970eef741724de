"""One word to the ids of its pieces, whatever the model."""

from __future__ import annotations

from lmprep.jit import Int, bare_inline_kernel, bare_melted_kernel
from lmprep.tokenization.pieces.arrays import (
    NONE,
    Bytes,
    Floats,
    Int32s,
    Int64s,
    PieceModel,
    Scratch,
)
from lmprep.tokenization.pieces.longest_match import match_longest
from lmprep.tokenization.pieces.merging import merge
from lmprep.tokenization.pieces.symbols import (
    byte_symbols,
    bytes_as_piece,
    character_symbols,
    piece_of,
)
from lmprep.tokenization.pieces.viterbi import likeliest


@bare_inline_kernel
def encode_word(
    model: PieceModel, text: Bytes, start: int, stop: int, ids: Int32s, scratch: Scratch
) -> Int:
    """Write the ids of the word text[start:stop].

    Args:
        model: as `piece_model` makes it.
        text: UTF-8, as it comes to the model; only for BPE of bytes before bytes become printable.
        ids: int32, out, room for at least stop - start + 1.
        scratch: from `scratch_for(size)`, with a size of at least stop - start.

    Returns:
        The number of ids, or NONE if the library has to be asked: a character is unknown and there
        is no unknown token.
    """
    return _encode(
        model,
        model.continuing,
        model.merges,
        model.byte_ids,
        model.fuses_unk,
        model.scores,
        model.words_only,
        text,
        start,
        stop,
        ids,
        scratch,
    )


@bare_melted_kernel
def _encode(
    model: PieceModel,
    continuing: int | None,
    merges: Int64s | None,
    byte_ids: Int32s | None,
    fuses_unk: bool | None,
    scores: Floats | None,
    words_only: bool | None,
    text: Bytes,
    start: int,
    stop: int,
    ids: Int32s,
    scratch: Scratch,
) -> Int:
    # What makes a kind of model comes as arguments: of those, and of nothing else, numba knows
    # before it compiles which are None, and leaves out what is done if they are not.
    if continuing is not None:
        return match_longest(model, continuing, text, start, stop, ids)
    if scores is not None:
        return likeliest(model, scores, text, start, stop, ids, scratch)
    if merges is not None and byte_ids is not None:
        return _encode_bytes(model, merges, byte_ids, text, start, stop, ids, scratch)
    if merges is not None and fuses_unk is not None:
        return _encode_characters(model, merges, fuses_unk, text, start, stop, ids, scratch)
    if words_only is not None:
        whole = piece_of(model, text, start, stop)
        ids[0] = model.unk if whole == NONE else whole
        return NONE if ids[0] == NONE else 1
    return NONE


@bare_melted_kernel
def _encode_bytes(
    model: PieceModel,
    merges: Int64s,
    byte_ids: Int32s,
    text: Bytes,
    start: int,
    stop: int,
    ids: Int32s,
    scratch: Scratch,
) -> int:
    if model.words_first and start < stop:
        ids[0] = bytes_as_piece(model, text, start, stop)
        if ids[0] != NONE:
            return 1
    count = byte_symbols(byte_ids, text, start, stop, ids)
    return merge(merges, ids, count, scratch)


@bare_melted_kernel
def _encode_characters(
    model: PieceModel,
    merges: Int64s,
    fuses_unk: bool,
    text: Bytes,
    start: int,
    stop: int,
    ids: Int32s,
    scratch: Scratch,
) -> int:
    if model.words_first and start < stop:
        ids[0] = piece_of(model, text, start, stop)
        if ids[0] != NONE:
            return 1
    count = character_symbols(model, fuses_unk, text, start, stop, ids)
    return merge(merges, ids, count, scratch)
