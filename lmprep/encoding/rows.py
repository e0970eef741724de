"""Texts to rows of ids. The only place here that knows how an `Encoder` is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Documents
from lmprep.ragged import offsets_of
from lmprep.tokenization import Encoder


@dataclass(frozen=True, eq=False)
class Rows:
    """N encoded texts, one after another.

    Args:
        ids: int32 [T], no special tokens.
        word_start: bool [T], True on the first token of each word.
        offsets: int64 [N + 1], into both.
    """

    ids: NDArray[np.int32]
    word_start: NDArray[np.bool_]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1


def encode_lines(encoder: Encoder, lines: bytes) -> Rows:
    """Encode lines, each with a `\\n` behind it that is no part of it."""
    encoded = encoder.encode_lines(lines)
    return Rows(encoded.ids, encoded.word_start, encoded.offsets)


def encode_texts(encoder: Encoder, texts: Sequence[bytes]) -> Rows:
    """Encode texts, which may hold newlines."""
    text = np.frombuffer(b"".join(texts), np.uint8)
    documents = Documents(
        text=text,
        sentence_offsets=offsets_of([len(t) for t in texts]),
        document_offsets=np.array([0, len(texts)]),
        numbers=np.zeros(1, np.int64),
    )
    tokens = encoder.encode(documents)
    return Rows(tokens.ids, tokens.word_start, tokens.sentence_offsets)
