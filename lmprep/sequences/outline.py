"""The sentences and documents of a batch that have tokens, and where a token came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Drops, Tokens

Origin = tuple[NDArray[np.int64], NDArray[np.int32]]
"""Document number (int64 [N]) and sentence ordinal (int32 [N]) of tokens."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """S sentences of D documents, none of them empty.

    Args:
        sentence_offsets: int64 [S + 1], into the tokens, rising.
        document_offsets: int64 [D + 1], into the sentences, rising.
        ordinals: int32 [S], which sentence of its document as given (empty ones counted), from 0.
        numbers: int64 [D], the documents' numbers.
        empty_documents: documents left out because they have no tokens.
    """

    sentence_offsets: NDArray[np.int64]
    document_offsets: NDArray[np.int64]
    ordinals: NDArray[np.int32]
    numbers: NDArray[np.int64]
    empty_documents: int

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def document_tokens(self) -> NDArray[np.int64]:
        """Offsets of the documents into the tokens, int64 [D + 1], rising."""
        return self.sentence_offsets[self.document_offsets]

    @property
    def tokens(self) -> int:
        """Tokens in all sentences."""
        return int(self.sentence_offsets[-1] - self.sentence_offsets[0])

    def drops(self) -> Drops:
        """What was left out already: documents without a token."""
        return Drops({"empty_documents": self.empty_documents}) if self.empty_documents else Drops()

    def origin(self, places: NDArray[np.int64]) -> Origin:
        """Where the tokens with these indices (int64 [N]) come from."""
        sentence = np.searchsorted(self.sentence_offsets, places, side="right") - 1
        document = np.searchsorted(self.document_offsets, sentence, side="right") - 1
        return self.numbers[document], self.ordinals[sentence]


def outline_of(tokens: Tokens) -> Outline:
    """Leave out the sentences and documents without tokens.

    Empty sentences take no room, so those that stay still lie one after another.
    """
    first, last = tokens.document_offsets[0], tokens.document_offsets[-1]
    offsets = tokens.sentence_offsets[first : last + 1]
    full = np.flatnonzero(np.diff(offsets))
    sizes = np.diff(tokens.document_offsets)
    ordinals = np.arange(last - first) - np.repeat(tokens.document_offsets[:-1] - first, sizes)
    document_offsets = np.searchsorted(full, tokens.document_offsets - first)
    filled = np.flatnonzero(np.diff(document_offsets))
    return Outline(
        sentence_offsets=np.append(offsets[full], offsets[-1]),
        document_offsets=np.append(document_offsets[filled], len(full)),
        ordinals=ordinals[full].astype(np.int32),
        numbers=tokens.numbers[filled],
        empty_documents=len(tokens) - len(filled),
    )
