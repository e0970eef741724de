"""The records that travel from text to shards: documents, tokens, sequences, columns.

Flat arrays with offsets throughout (the layout of `lmprep.ragged`); no Python object per token,
sentence or document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.ragged import Ragged, concatenate, offsets_of

Columns = dict[str, NDArray[Any] | Ragged]
"""Columns by name, all of the same number of rows: arrays [N], or ragged arrays of N rows."""

FRAMES = ("template", "segments", "ended", "bare")
"""How a sequence is laid out: with the special tokens of its family's template; the same in one or
two segments (ELECTRA); as a stream in which a separator follows each document; or without any
special token, for objectives that put their own around inputs and targets."""

DOCUMENT_SHIFT = 40
"""A document's number is `source << DOCUMENT_SHIFT | ordinal in the source`."""

Drops = Counter[str]
"""What was dropped, counted by reason. A reason names its unit: `pair_truncation_tokens`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Documents:
    """A batch of documents cut into sentences.

    Args:
        text: uint8 [B], UTF-8; sentences lie in it one after another, without what parted them.
        sentence_offsets: int64 [S + 1], into `text`.
        document_offsets: int64 [D + 1], into the sentences.
        numbers: int64 [D], `source << DOCUMENT_SHIFT | ordinal in the source`.
    """

    text: NDArray[np.uint8]
    sentence_offsets: NDArray[np.int64]
    document_offsets: NDArray[np.int64]
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, documents: NDArray[np.int64]) -> Documents:
        """The documents at these places (int64), in the given order."""
        text_of = self.sentence_offsets[self.document_offsets]
        sentences = Ragged(np.diff(self.sentence_offsets), self.document_offsets).take(documents)
        return Documents(
            text=Ragged(self.text, text_of).take(documents).values,
            sentence_offsets=offsets_of(sentences.values),
            document_offsets=sentences.offsets,
            numbers=self.numbers[documents],
        )

    def slice_text(self, sentence: int) -> str:
        """The text of one sentence: for messages and small inputs."""
        start, stop = self.sentence_offsets[sentence], self.sentence_offsets[sentence + 1]
        return self.text[start:stop].tobytes().decode()


@dataclass(frozen=True, kw_only=True, eq=False)
class Tokens:
    """A batch of documents as token ids.

    Args:
        ids: int32 [T], no special tokens.
        word_start: bool [T], True on the first token of each word.
        sentence_offsets: int64 [S + 1], into `ids`; a sentence may be empty.
        document_offsets: int64 [D + 1], into the sentences.
        numbers: int64 [D], as in `Documents`.
    """

    ids: NDArray[np.int32]
    word_start: NDArray[np.bool_]
    sentence_offsets: NDArray[np.int64]
    document_offsets: NDArray[np.int64]
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, documents: NDArray[np.int64]) -> Tokens:
        """The documents at these places (int64), in the given order."""
        tokens_of = self.sentence_offsets[self.document_offsets]
        sentences = Ragged(np.diff(self.sentence_offsets), self.document_offsets).take(documents)
        return Tokens(
            ids=Ragged(self.ids, tokens_of).take(documents).values,
            word_start=Ragged(self.word_start, tokens_of).take(documents).values,
            sentence_offsets=offsets_of(sentences.values),
            document_offsets=sentences.offsets,
            numbers=self.numbers[documents],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Sequences:
    """N sequences with their special tokens, before or after corruption.

    Args:
        ids: int32 [T], sequences one after another.
        word_start: bool [T], True on the first token of each word and on every special token.
        maskable: bool [T], False on special tokens.
        offsets: int64 [N + 1], into the three above.
        document, first_sentence: int64 and int32 [N]: number of the document the (first) text
            came from, and which of its sentences, from 0. A window of frame `ended` that begins
            with a separator comes from the last sentence of the document it closes.
        document_starts: packed, but not bare: the position of each further document in the
            sequence.
        sentence_starts: bare only, if asked for: the position of each sentence that begins in the
            sequence but for position 0, rising; a document's end is a sentence's end.
        denoiser: int8 [N], ul2: which of `objective_settings.DENOISERS` a row is for.
        first_segment_length: int32 [N], pairs and segments: tokens up to and with the first
            separator; all tokens of a row of one segment.
        second_document, second_sentence: int64 and int32 [N], pairs: where B came from.
        next_sentence_label: int8 [N], NSP: 0 B follows A, 1 B is from elsewhere.
        sentence_order_label: int8 [N], SOP: 0 in order, 1 swapped.
    """

    ids: NDArray[np.int32]
    word_start: NDArray[np.bool_]
    maskable: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    document: NDArray[np.int64]
    first_sentence: NDArray[np.int32]
    document_starts: Ragged | None = None
    sentence_starts: Ragged | None = None
    denoiser: NDArray[np.int8] | None = None
    first_segment_length: NDArray[np.int32] | None = None
    second_document: NDArray[np.int64] | None = None
    second_sentence: NDArray[np.int32] | None = None
    next_sentence_label: NDArray[np.int8] | None = None
    sentence_order_label: NDArray[np.int8] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def provenance(self) -> Columns:
        """The columns every objective stores beside its own: origin, segments and labels."""
        token_level = {"ids", "word_start", "maskable", "offsets"}
        present = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in token_level}
        return {name: column for name, column in present.items() if column is not None}


def ragged(columns: Columns, name: str) -> Ragged:
    """A column that must be ragged."""
    column = columns[name]
    if not isinstance(column, Ragged):
        raise TypeError(f"column {name} is not ragged")
    return column


def plain(columns: Columns, name: str) -> NDArray[Any]:
    """A column that must be a plain array."""
    column = columns[name]
    if isinstance(column, Ragged):
        raise TypeError(f"column {name} is ragged")
    return column


def take_rows(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    """The given rows of every column, in the given order."""
    return {
        name: column.take(rows) if isinstance(column, Ragged) else column[rows]
        for name, column in columns.items()
    }


def join_rows(parts: Sequence[Columns]) -> Columns:
    """The rows of all parts, at least one, in order; columns that not all have are left out."""
    names = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: _joined([part[name] for part in parts]) for name in names}


def _joined(pieces: Sequence[NDArray[Any] | Ragged]) -> NDArray[Any] | Ragged:
    ragged = [piece for piece in pieces if isinstance(piece, Ragged)]
    if len(ragged) == len(pieces):
        return concatenate(ragged)
    return np.concatenate([piece for piece in pieces if not isinstance(piece, Ragged)])
