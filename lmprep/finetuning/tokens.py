"""Texts to token ids that know where they stand: by character in a text, or by word in a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmprep.ragged import Ragged, offsets_of
from lmprep.tokenization.encoder import plain_tokenizer
from lmprep.tokenization.folder import TokenizerFolder

_AT_ONCE = 1000  # texts that the library encodes in one call


@dataclass(frozen=True, kw_only=True, eq=False)
class Placed:
    """Token ids of N texts, without special tokens, and where each token stands.

    Args:
        ids: int32, ragged.
        starts, ends: int64 [T], code points of its text from the first to past the last; equal
            for a token of nothing.
    """

    ids: Ragged
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


class TextEncoder:
    """Encodes with one tokenizer; what looks like a special token in a text is ordinary text.

    Args:
        folder: the tokenizer, as `tokenization.folder.load` returns it.
    """

    def __init__(self, folder: TokenizerFolder) -> None:
        self.vocabulary = folder.vocabulary
        self._tokenizer = plain_tokenizer(folder.tokenizer)
        # A piece of a foreign model that is a special token counts as unknown.
        unknown = folder.vocabulary.unk
        self._written_as = np.arange(folder.vocabulary.size, dtype=np.int32)
        if unknown is not None:
            self._written_as[~folder.vocabulary.maskable] = unknown
        self.unknown = unknown

    def texts(self, texts: Sequence[str]) -> Placed:
        """Every text as tokens with their places in it, whatever the tokenizer normalizes."""
        ids: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
        places: list[NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
        for first in range(0, len(texts), _AT_ONCE):
            batch = list(texts[first : first + _AT_ONCE])
            for found in self._tokenizer.encode_batch(batch, add_special_tokens=False):
                ids.append(np.array(found.ids, np.int32))
                places.append(np.array(found.offsets, np.int64).reshape(-1, 2))
        offsets = offsets_of([len(each) for each in ids[1:]])
        flat = np.concatenate(places)
        return Placed(
            ids=Ragged(self._written_as[np.concatenate(ids)], offsets),
            starts=flat[:, 0],
            ends=flat[:, 1],
        )

    def words(self, sentences: Sequence[Sequence[str]]) -> tuple[Ragged, NDArray[np.int64]]:
        """Sentences of words as tokens, and the number of the word in its sentence of each token.

        The words are joined by single spaces, as the model knows texts, and encoded together. A
        word that the tokenizer makes nothing of (a lone control character) becomes one unknown
        token, so that every word has at least one.

        Returns:
            int32 ids, ragged; int64 [T], rising within a sentence.
        """
        placed = self.texts([" ".join(words) for words in sentences])
        counts = [len(words) for words in sentences]
        lengths = np.array([len(word) for words in sentences for word in words], np.int64)
        sentence_of_token = np.repeat(np.arange(len(sentences)), placed.ids.lengths)
        # Ends of all words on one line, in which each sentence begins where the last one ended.
        ends = np.cumsum(lengths + 1) - 1
        word_offsets = offsets_of(counts)
        begins = np.concatenate(([0], ends + 1))[word_offsets[:-1]]
        last = np.maximum(placed.ends - 1, 0) + begins[sentence_of_token]
        word_of_token = np.maximum.accumulate(np.searchsorted(ends, last, side="right"))
        return self._with_empty_words(placed.ids, word_of_token, word_offsets)

    def _with_empty_words(
        self, ids: Ragged, word_of_token: NDArray[np.int64], word_offsets: NDArray[np.int64]
    ) -> tuple[Ragged, NDArray[np.int64]]:
        """The same with a token for every word; words are numbered through all sentences."""
        tokens = np.bincount(word_of_token, minlength=word_offsets[-1])
        empty = np.flatnonzero(tokens == 0)
        values = ids.values
        if len(empty):
            unknown = 0 if self.unknown is None else self.unknown
            at = np.searchsorted(word_of_token, empty)
            values = np.insert(values, at, unknown)
            word_of_token = np.insert(word_of_token, at, empty)
        offsets = np.searchsorted(word_of_token, word_offsets)
        sentence = np.repeat(np.arange(len(ids)), np.diff(offsets))
        return Ragged(values, offsets.astype(np.int64)), word_of_token - word_offsets[sentence]
