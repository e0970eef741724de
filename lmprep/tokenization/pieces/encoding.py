"""One word to the ids of its pieces, whatever the model."""

from __future__ import annotations

from lmprep.jit import bare_melted_kernel
from lmprep.tokenization.pieces.arrays import (
    BPE_BYTES,
    BPE_CHARACTERS,
    NONE,
    UNIGRAM,
    WORDPIECE,
    Bytes,
    Int32s,
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


@bare_melted_kernel
def encode_word(
    model: PieceModel, text: Bytes, start: int, stop: int, ids: Int32s, scratch: Scratch
) -> int:
    """Write the ids of the word text[start:stop].

    Args:
        model: as `piece_model` makes it.
        text: UTF-8, as it comes to the model; only for BPE_BYTES before bytes become printable.
        ids: int32, out, room for at least stop - start + 1.
        scratch: from `scratch_for(size)`, with a size of at least stop - start.

    Returns:
        The number of ids, or NONE if the library has to be asked: a character is unknown and there
        is no unknown token.
    """
    if model.kind == WORDPIECE:
        return match_longest(model, text, start, stop, ids)
    if model.kind == UNIGRAM:
        return likeliest(model, text, start, stop, ids, scratch)
    if model.kind == BPE_BYTES:
        return _encode_bytes(model, text, start, stop, ids, scratch)
    if model.kind == BPE_CHARACTERS:
        return _encode_characters(model, text, start, stop, ids, scratch)
    whole = piece_of(model, text, start, stop)
    ids[0] = model.unk if whole == NONE else whole
    return NONE if ids[0] == NONE else 1


@bare_melted_kernel
def _encode_bytes(
    model: PieceModel, text: Bytes, start: int, stop: int, ids: Int32s, scratch: Scratch
) -> int:
    if model.words_first and start < stop:
        ids[0] = bytes_as_piece(model, text, start, stop)
        if ids[0] != NONE:
            return 1
    count = byte_symbols(model, text, start, stop, ids)
    return merge(model.merges, ids, count, scratch)


@bare_melted_kernel
def _encode_characters(
    model: PieceModel, text: Bytes, start: int, stop: int, ids: Int32s, scratch: Scratch
) -> int:
    if model.words_first and start < stop:
        ids[0] = piece_of(model, text, start, stop)
        if ids[0] != NONE:
            return 1
    count = character_symbols(model, text, start, stop, ids)
    return merge(model.merges, ids, count, scratch)
