"""From a tokenizer of the `tokenizers` library to the arrays of its model."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from lmprep.tokenization.components import component, model_of
from lmprep.tokenization.pieces.arrays import (
    DROPPED,
    NONE,
    Int32s,
    PieceModel,
)
from lmprep.tokenization.pieces.merge_table import merge_table
from lmprep.tokenization.pieces.printable import PRINTABLE
from lmprep.tokenization.pieces.trie import build_trie, node_of

_LARGEST_ID = 2**31 - 1
_LARGEST_LIMIT = 2**62
_UNKNOWN_PENALTY = 10.0  # below the least likely piece, as in SentencePiece

Vocabulary = dict[str, int]
Spec = dict[str, Any]


class NotCovered(ValueError):
    """This model does something that the kernels do not: its words go through the library."""


def piece_model(tokenizer: Tokenizer) -> PieceModel:
    """The model of a tokenizer, for `encode_word`.

    Raises:
        NotCovered: with the reason.
    """
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    if len(set(vocabulary.values())) < len(vocabulary):
        raise NotCovered("two pieces have the same id")
    if max(vocabulary.values(), default=0) >= _LARGEST_ID:
        raise NotCovered(f"the id {max(vocabulary.values())} needs more than 32 bits")
    spec = model_of(tokenizer)
    kind = spec["type"]
    byte_levels = json.dumps(component(tokenizer, "pre_tokenizer")).count('"type": "ByteLevel"')
    if byte_levels > (kind == "BPE"):
        raise NotCovered(f"{byte_levels} ByteLevel pre-tokenizers before a model {kind}")
    if kind == "WordPiece":
        return _wordpiece(vocabulary, spec)
    if kind == "BPE":
        return _bpe(vocabulary, spec, byte_level=byte_levels == 1)
    if kind == "Unigram":
        return _unigram(vocabulary, spec, tokenizer)
    if kind == "WordLevel":
        unk = vocabulary.get(spec["unk_token"], NONE)
        return _with_trie(vocabulary)._replace(unk=unk, words_only=True)
    raise NotCovered(f"a model of type {kind}")


def _wordpiece(vocabulary: Vocabulary, spec: Spec) -> PieceModel:
    prefix = np.frombuffer(bytearray(spec["continuing_subword_prefix"].encode()), np.uint8)
    model = _with_trie(vocabulary)
    return model._replace(
        unk=vocabulary.get(spec["unk_token"], NONE),
        most_characters=min(spec["max_input_chars_per_word"], _LARGEST_LIMIT),
        continuing=int(node_of(model.edges, prefix, 0, len(prefix))),
    )


def _bpe(vocabulary: Vocabulary, spec: Spec, *, byte_level: bool) -> PieceModel:
    for setting in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if spec[setting]:
            raise NotCovered(f"a BPE model with {setting} {spec[setting]!r}")
    merges = [(vocabulary[a], vocabulary[b], vocabulary[a + b]) for a, b in spec["merges"]]
    numbers = np.array(merges, np.int32).reshape(-1, 3)
    # Bytes are looked up in a table: only whole words need the trie.
    model = _with_trie({} if byte_level and not spec["ignore_merges"] else vocabulary)
    model = model._replace(
        unk=DROPPED if spec["unk_token"] is None else vocabulary.get(spec["unk_token"], NONE),
        words_first=spec["ignore_merges"],
        merges=merge_table(numbers[:, :2], numbers[:, 2]),
    )
    if byte_level:
        return model._replace(byte_ids=_ids(vocabulary, PRINTABLE))
    return model._replace(fuses_unk=spec["fuse_unk"], fallback_ids=_fallback_ids(vocabulary, spec))


def _unigram(vocabulary: Vocabulary, spec: Spec, tokenizer: Tokenizer) -> PieceModel:
    if tokenizer.model.alpha:
        raise NotCovered(f"a Unigram model that samples with alpha {tokenizer.model.alpha}")
    scores = np.array([score for _, score in spec["vocab"]], np.float64)
    if not np.isfinite(scores).all():
        raise NotCovered("a Unigram model with scores that are not finite")
    return _with_trie(vocabulary)._replace(
        unk=NONE if spec["unk_id"] is None else spec["unk_id"],
        fallback_ids=_fallback_ids(vocabulary, spec),
        scores=scores,
        unknown_score=float(scores.min(initial=np.inf)) - _UNKNOWN_PENALTY,
    )


def _with_trie(vocabulary: Vocabulary) -> PieceModel:
    """A model of these pieces, all else left empty."""
    pieces = [piece.encode() for piece in vocabulary]
    edges, piece_at = build_trie(pieces, np.fromiter(vocabulary.values(), np.int32))
    return empty_model()._replace(edges=edges, piece_at=piece_at)


def empty_model() -> PieceModel:
    """A model that knows nothing."""
    return PieceModel(
        unk=NONE,
        edges=np.empty(0, np.int64),
        piece_at=np.empty(0, np.int32),
        most_characters=0,
        words_first=False,
        fallback_ids=np.empty(0, np.int32),
        unknown_score=0.0,
        continuing=None,
        merges=None,
        byte_ids=None,
        fuses_unk=None,
        scores=None,
        words_only=None,
    )


def _fallback_ids(vocabulary: Vocabulary, spec: Spec) -> Int32s:
    """The piece of each byte where the model falls back to bytes, or else NONE for all."""
    if not spec["byte_fallback"]:
        return np.full(256, NONE, np.int32)
    return _ids(vocabulary, [f"<0x{byte:02X}>" for byte in range(256)])


def _ids(vocabulary: Vocabulary, pieces: list[str]) -> Int32s:
    return np.array([vocabulary.get(piece, NONE) for piece in pieces], np.int32)
