"""Documents to tokens: the `tokenizers` library's result, computed once for each distinct chunk.

A block of sentences is scanned into numbered chunks (`scan`), chunks without ids yet go to the
library, and a second kernel gathers ids and word starts. What comes out is, token for token, what
the library gives for each sentence; only speed depends on what the table remembers. One thing
differs: a special token that a foreign model reads out of plain text becomes the unknown token.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lmprep.batches import Documents, Tokens
from lmprep.jit import kernel
from lmprep.ragged import offsets_of
from lmprep.tokenization.folder import TokenizerFolder
from lmprep.tokenization.rules import cut_rule
from lmprep.tokenization.scan import DEFAULT_ENTRIES, Chunks, ChunkTable

Ids = NDArray[np.int32]
Flags = NDArray[np.bool_]
Offsets = NDArray[np.int64]
Encoded = tuple[Ids, Flags, Offsets]
"""Ids and word starts of some texts, one after another, and the number of tokens of each."""

_Array = TypeVar("_Array", Ids, Flags, Offsets)

_BLOCK = 1 << 20  # bytes of text scanned at a time: its arrays stay in the processor's cache
_POOL = 1 << 24  # ids kept for known chunks, 80 MB: reached by chunks of CJK text
_CALL = 1 << 14  # chunks given to the library at a time, as its results are large


class Encoder:
    """Encodes batches of documents with one tokenizer. Holds a cache: not for sharing by threads.

    Text that looks like a special token is ordinary text, and the only special token among the
    ids is the unknown one. Our own vocabularies see to that themselves. Others may hold `<s>` among
    the pieces that their model matches in text: such a match counts as text that it does not know.

    Args:
        folder: the tokenizer, as `folder.load` returns it.
        max_chunks: distinct chunks remembered at most.
        max_ids: token ids remembered at most.
    """

    def __init__(
        self,
        folder: TokenizerFolder,
        *,
        max_chunks: int = DEFAULT_ENTRIES,
        max_ids: int = _POOL,
    ) -> None:
        self._tokenizer = plain_tokenizer(folder.tokenizer)
        self._vocabulary = folder.vocabulary
        self._table = ChunkTable(cut_rule(self._tokenizer), max_chunks)
        self._max_ids = max_ids
        self._pool = _Pool()

    def encode(self, documents: Documents) -> Tokens:
        """Encode every sentence, without special tokens.

        Raises:
            UnicodeDecodeError: the text is not UTF-8.
            ValueError: the model reads a special token out of the text, and has no unknown token.
        """
        blocks = [self._encode_block(documents.text, b) for b in _blocks(documents)]
        ids, word_start, lengths = zip(_NOTHING, *blocks, strict=True)
        return Tokens(
            ids=np.concatenate(ids),
            word_start=np.concatenate(word_start),
            sentence_offsets=offsets_of(np.concatenate(lengths)),
            document_offsets=documents.document_offsets,
            numbers=documents.numbers,
        )

    def _encode_block(self, text: NDArray[np.uint8], sentence_offsets: Offsets) -> Encoded:
        """Encode each sentence of one block."""
        if self._table.is_full or len(self._pool) > self._max_ids:
            self._forget()
        known = len(self._table)
        chunks = self._table.scan(text, sentence_offsets)
        try:
            self._pool.append(self._encode_texts, self._table.texts(known))
        except BaseException:
            self._forget()  # a table ahead of its pool would give wrong ids to whoever goes on
            raise
        loose = _Pool()
        if len(chunks.loose):
            texts = [text[a:b].tobytes().decode() for a, b in chunks.loose.tolist()]
            loose.append(self._encode_texts, texts)
        return _gathered(chunks, self._pool, loose)

    def _encode_texts(self, texts: list[str]) -> Encoded:
        """What the library gives, with special tokens made unknown."""
        ids, word_start, lengths = _encode_with_library(self._tokenizer, texts)
        special = ~self._vocabulary.maskable[ids]
        if special.any():
            if self._vocabulary.unk is None:
                token = self._tokenizer.id_to_token(int(ids[special][0]))
                raise ValueError(
                    f"this tokenizer reads the special token {token} out of plain text, "
                    "and has no unknown token to put in its place"
                )
            ids[special] = self._vocabulary.unk
        return ids, word_start, lengths

    def _forget(self) -> None:
        self._table.clear()
        self._pool = _Pool()


_NOTHING = (np.empty(0, np.int32), np.empty(0, np.bool_), np.empty(0, np.int64))


def plain_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that reads special tokens as text and neither truncates nor pads.

    Raises:
        ValueError: the model has BPE dropout, so that one text has many encodings.
    """
    spec = json.loads(tokenizer.to_str())
    if spec["model"].get("dropout"):
        raise ValueError(
            f"BPE dropout {spec['model']['dropout']} encodes a text differently each time; "
            "set dropout to null in tokenizer.json"
        )
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.no_truncation()
    plain.no_padding()
    plain.encode_special_tokens = True
    return plain


def _blocks(documents: Documents) -> Iterator[Offsets]:
    """The sentence offsets in runs of about `_BLOCK` bytes, at least one sentence each."""
    offsets = documents.sentence_offsets
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + _BLOCK, side="right")) - 1
        last = max(last, first + 1)
        yield offsets[first : last + 1]
        first = last


class _Pool:
    """The token ids of chunks, one chunk after another, in arrays that grow by doubling.

    Attributes:
        ids, word_start: int32 and bool; the first `len(self)` are in use.
        offsets: int64; chunk i has the tokens offsets[i]:offsets[i + 1].
    """

    def __init__(self) -> None:
        self.ids = np.empty(0, np.int32)
        self.word_start = np.empty(0, np.bool_)
        self.offsets = np.zeros(1, np.int64)
        self._chunks = 0

    def __len__(self) -> int:
        return int(self.offsets[self._chunks])

    def append(self, encode: Callable[[list[str]], Encoded], texts: list[str]) -> None:
        """Encode further chunks."""
        remaining = iter(texts)
        while call := list(islice(remaining, _CALL)):
            ids, word_start, lengths = encode(call)
            tokens, chunks = len(self), self._chunks
            self.ids = _stored(self.ids, tokens, ids)
            self.word_start = _stored(self.word_start, tokens, word_start)
            self.offsets = _stored(self.offsets, chunks + 1, tokens + np.cumsum(lengths))
            self._chunks += len(call)


def _stored(array: _Array, used: int, more: _Array) -> _Array:
    """`array` with `more` written at `used`, moved to twice the room where it does not fit."""
    if used + len(more) > len(array):
        larger = np.empty_like(array, shape=max(2 * len(array), used + len(more)))
        larger[:used] = array[:used]
        array = larger
    array[used : used + len(more)] = more
    return array


def _encode_with_library(tokenizer: Tokenizer, texts: list[str]) -> Encoded:
    """Encode each text.

    One call for each text and not `encode_batch`, which starts threads: a later fork of this
    process would lose them and hang, and engines run one process a core anyway.
    """
    encodings = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    lengths = np.array([len(e) for e in encodings], np.int64)
    ids = np.array([i for e in encodings for i in e.ids], np.int32)
    # Special tokens have no word; a token without one stands for itself.
    words = np.array([-1 if w is None else w for e in encodings for w in e.word_ids], np.int64)
    word_start = words < 0
    word_start[1:] |= words[1:] != words[:-1]
    firsts = offsets_of(lengths)[:-1]
    word_start[firsts[lengths > 0]] = True
    return ids, word_start, lengths


def _gathered(chunks: Chunks, known: _Pool, loose: _Pool) -> Encoded:
    lengths = np.zeros(len(chunks.sentence_offsets) - 1, np.int64)
    _count(chunks.numbers, chunks.sentence_offsets, known.offsets, loose.offsets, lengths)
    ids = np.empty(lengths.sum(), np.int32)
    word_start = np.empty(len(ids), np.bool_)
    known_tokens = (known.ids, known.word_start, known.offsets)
    loose_tokens = (loose.ids, loose.word_start, loose.offsets)
    _gather(chunks.numbers, known_tokens, loose_tokens, ids, word_start)
    return ids, word_start, lengths


@kernel
def _count(
    numbers: Ids, sentence_offsets: Offsets, known: Offsets, loose: Offsets, lengths: Offsets
) -> None:
    """Tokens of each sentence, from the chunks' offsets into the two pools."""
    for s in range(len(lengths)):
        for c in range(sentence_offsets[s], sentence_offsets[s + 1]):
            number = numbers[c]
            if number >= 0:
                lengths[s] += known[number + 1] - known[number]
            else:
                lengths[s] += loose[-number] - loose[-number - 1]


@kernel
def _gather(
    numbers: Ids,
    known: tuple[Ids, Flags, Offsets],
    loose: tuple[Ids, Flags, Offsets],
    ids: Ids,
    word_start: Flags,
) -> None:
    """Copy the tokens of each chunk, in order: number >= 0 from `known`, -1 - i from `loose`."""
    at = 0
    for number in numbers:
        pool_ids, pool_starts, offsets = known if number >= 0 else loose
        entry = number if number >= 0 else -1 - number
        for i in range(offsets[entry], offsets[entry + 1]):
            ids[at] = pool_ids[i]
            word_start[at] = pool_starts[i]
            at += 1
