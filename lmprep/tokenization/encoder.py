"""Documents to tokens: the `tokenizers` library's result, at the speed of memory.

Text is scanned into words by kernels (`scanning`) that encode each word once and remember it; what
they cannot do goes to the library, word by word where `rules` says that this is safe, else sentence
by sentence. What comes out is, token for token, what the library gives for each sentence. One thing
differs: a special token that a foreign model reads out of plain text becomes the unknown token.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lmprep.batches import Documents, Tokens
from lmprep.ragged import offsets_of
from lmprep.tokenization.folder import TokenizerFolder
from lmprep.tokenization.rules import cut_components
from lmprep.tokenization.scanning.bits import line_offsets
from lmprep.tokenization.scanning.cuts import cut_of
from lmprep.tokenization.scanning.parts import (
    encode_parts,
    parts_of_lines,
    parts_of_sentences,
)
from lmprep.tokenization.scanning.scanner import MOST_SLOTS, Encoded, Scanner

logger = logging.getLogger("lmprep")

Ids = NDArray[np.int32]
Flags = NDArray[np.bool_]
Offsets = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lines:
    """Lines of text as token ids.

    Args:
        ids: int32 [T], no special tokens.
        word_start: bool [T], True on the first token of each word.
        offsets: int64 [L + 1], into the two above.
    """

    ids: Ids
    word_start: Flags
    offsets: Offsets


class Encoder:
    """Encodes text with one tokenizer. Holds a cache, and is used by one thread at a time.

    Text that looks like a special token is ordinary text, and the only special token among the
    ids is the unknown one. Our own vocabularies see to that themselves. Others may hold `<s>` among
    the pieces that their model matches in text: such a match counts as text that it does not know.

    Args:
        folder: the tokenizer, as `folder.load` returns it.
        threads: threads that share the work, each with a cache of its own.
        most_slots: bounds each cache, see `scanner.Scanner`; a power of two.

    Attributes:
        scanners: one for each thread; none where the library encodes all text.
    """

    def __init__(
        self, folder: TokenizerFolder, *, threads: int = 1, most_slots: int = MOST_SLOTS
    ) -> None:
        self._tokenizer = plain_tokenizer(folder.tokenizer)
        self._vocabulary = folder.vocabulary
        special = [self._tokenizer.id_to_token(i) or " " for i in folder.vocabulary.special]
        cut = cut_of(self._tokenizer, tuple(special))
        self.scanners: list[Scanner] = []
        if cut is None:
            logger.warning(
                "this tokenizer (%s) cannot be cut into words safely: whole sentences go through "
                "the tokenizers library, which is some thirty times slower",
                cut_components(self._tokenizer),
            )
            return
        logger.info("The fast way through %s.", cut_components(self._tokenizer))
        unknown = -1 if folder.vocabulary.unk is None else folder.vocabulary.unk
        written_as = np.arange(folder.vocabulary.size, dtype=np.int32)
        written_as[~folder.vocabulary.maskable] = unknown
        self.scanners = [
            Scanner(cut, written_as, self._encode_text, most_slots) for _ in range(threads)
        ]

    def encode(self, documents: Documents) -> Tokens:
        """Encode every sentence, without special tokens.

        Args:
            documents: their text is UTF-8, as all readers make sure.

        Raises:
            UnicodeDecodeError: text that goes to the library is not UTF-8.
            ValueError: the model reads a special token out of the text, and has no unknown token.
        """
        text, offsets = documents.text, documents.sentence_offsets
        if self.scanners:
            parts = parts_of_sentences(offsets, len(self.scanners))
            ids, word_start, lengths = encode_parts(self.scanners, text, parts, 0)
        else:
            ids, word_start, lengths = self._encode_sentences(text, offsets, 0)
        return Tokens(
            ids=ids,
            word_start=word_start,
            sentence_offsets=offsets_of(lengths),
            document_offsets=documents.document_offsets,
            numbers=documents.numbers,
        )

    def encode_lines(self, text: bytes | NDArray[np.uint8]) -> Lines:
        """Encode every line as a sentence; each ends with a newline, which is not part of it.

        Args:
            text: UTF-8; empty, or its last byte is a newline.
        """
        data = np.frombuffer(text, np.uint8) if isinstance(text, bytes) else text
        if self.scanners:
            parts = parts_of_lines(data, len(self.scanners))
            ids, word_start, lengths = encode_parts(self.scanners, data, parts, 1)
        else:
            ids, word_start, lengths = self._encode_sentences(data, line_offsets(data), 1)
        return Lines(ids=ids, word_start=word_start, offsets=offsets_of(lengths))

    def _encode_sentences(self, text: NDArray[np.uint8], offsets: Offsets, gap: int) -> Encoded:
        """One call of the library for each sentence.

        Not `encode_batch`, which starts threads: a later fork of this process would lose them and
        hang, and engines run one process a core anyway.
        """
        bounds = zip(offsets[:-1].tolist(), (offsets[1:] - gap).tolist(), strict=True)
        encoded = [self._encode_text(text[a:b].tobytes().decode()) for a, b in bounds]
        ids = [_NO_IDS, *(ids for ids, _ in encoded)]
        word_start = [_NO_FLAGS, *(flags for _, flags in encoded)]
        lengths = np.array([len(ids) for ids, _ in encoded], np.int64)
        return np.concatenate(ids), np.concatenate(word_start), lengths

    def _encode_text(self, text: str) -> tuple[Ids, Flags]:
        """What the library gives, with special tokens made unknown."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        ids = np.array(encoding.ids, np.int32)
        # Special tokens have no word; a token without one stands for itself.
        words = np.array([-1 if w is None else w for w in encoding.word_ids], np.int64)
        word_start = words < 0
        word_start[1:] |= words[1:] != words[:-1]
        word_start[:1] = True
        special = ~self._vocabulary.maskable[ids]
        if special.any():
            if self._vocabulary.unk is None:
                token = self._tokenizer.id_to_token(int(ids[special][0]))
                raise ValueError(
                    f"this tokenizer reads the special token {token} out of plain text, "
                    "and has no unknown token to put in its place"
                )
            ids[special] = self._vocabulary.unk
        return ids, word_start


_NO_IDS = np.empty(0, np.int32)
_NO_FLAGS = np.empty(0, np.bool_)


def plain_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that reads special tokens as text and neither truncates nor pads.

    Raises:
        ValueError: the model has BPE dropout, so that one text has many encodings.
    """
    if dropout := getattr(tokenizer.model, "dropout", None):  # BPE has it
        raise ValueError(
            f"BPE dropout {dropout} encodes a text differently each time; "
            "set dropout to null in tokenizer.json"
        )
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.no_truncation()
    plain.no_padding()
    plain.encode_special_tokens = True
    return plain
