"""What the tests of pieces share: a word by the kernel, and by the library, which is the oracle."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lmprep.jit import kernel
from lmprep.tokenization.pieces import NONE, PieceModel, encode_word, piece_model, scratch_for
from lmprep.tokenization.pieces.printable import PRINTABLE

UNKNOWN = ["\0", "ÿ", "\u0378", "😶"]
"""Characters that no test's text has, of one to four bytes."""

_UNTOUCHED = -77

# One letter of each length in UTF-8, so that most matches are ambiguous.
letters = st.text("abé€", min_size=1, max_size=4)
words = st.text("abé€x😀", max_size=12)


@kernel
def encoded(model, text, start, stop, ids, scratch):  # Python cannot call an inner kernel
    return encode_word(model, text, start, stop, ids, scratch)


def by_kernel(model: PieceModel, text: bytes, start: int = 0) -> list[int] | None:
    """The ids of text[start:], None where the kernel does not know."""
    size = len(text) - start
    ids = np.full(size + 9, _UNTOUCHED, np.int32)
    data = np.frombuffer(text, np.uint8)
    count = encoded(model, data, start, len(text), ids, scratch_for(size))
    assert NONE <= count <= size + 1
    assert (ids[size + 1 :] == _UNTOUCHED).all()
    return None if count == NONE else ids[:count].tolist()


def by_library(tokenizer: Tokenizer, word: str) -> list[int] | None:
    """The same by the library, None where it raises."""
    cut = tokenizer.pre_tokenizer
    if cut is not None and b'"ByteLevel"' in cut.__getstate__():  # JSON, also of a Sequence
        word = "".join(PRINTABLE[byte] for byte in word.encode())
    try:
        return [token.id for token in tokenizer.model.tokenize(word)]
    except Exception:
        return None


def assert_as_the_library(tokenizer: Tokenizer, words: list[str]) -> None:
    """The kernel gives the library's ids for each word, or does not know where that raises."""
    model = piece_model(tokenizer)
    for word in words:
        expected = by_library(tokenizer, word)
        if model.byte_ids is not None and (model.byte_ids[list(word.encode())] == NONE).any():
            expected = None
        assert by_kernel(model, word.encode()) == expected, word
