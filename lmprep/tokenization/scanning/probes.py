"""Ask a tokenizer what it does to a single character; see `code_points`.

A probe sets the character between letters that nothing happens to. The library decides; Python's
tables only say which characters stand for themselves under composition and reordering.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache

from tokenizers import Tokenizer

from lmprep.tokenization.scanning.code_points import (
    ISOLATED,
    LETTER,
    NUMBER,
    OTHER,
    PART,
    SPACE,
    UNSAFE,
    Probe,
)

_UNSAFE = (UNSAFE, b"")
_MARKS_OUT_OF_ORDER = "a\u0301\u0323"


def bert_probe(tokenizer: Tokenizer) -> Probe:
    """For BERT's normalizers and pre-tokenizer: `xcx` is one word, two, or three."""
    normalize = _normalizer_of(tokenizer)
    cut = tokenizer.pre_tokenizer.pre_tokenize_str
    reorders = normalize(_MARKS_OUT_OF_ORDER) != _MARKS_OUT_OF_ORDER

    def probe(character: str) -> tuple[int, bytes]:
        if not character.isascii() and not _is_known(character):
            return _UNSAFE
        text = normalize(f"x{character}x")
        words = [word for word, _ in cut(text)]
        if words == ["x", "x"]:
            return SPACE, b""
        if len(words) == 1 and words[0][0] == words[0][-1] == "x" and len(words[0]) > 1:
            kind, inner = PART, words[0][1:-1]
        elif len(words) == 3 and words[0] == words[2] == "x":
            kind, inner = ISOLATED, words[1]
        else:
            return _UNSAFE
        # Marks that stay would be put in order with others before and after them.
        return _UNSAFE if reorders and any(map(_moves, inner)) else (kind, inner.encode())

    return probe


def gpt2_probe(tokenizer: Tokenizer) -> Probe:
    """For GPT-2's expression: with which of `x`, `1` and `!` the character makes one word."""
    cut = tokenizer.pre_tokenizer.pre_tokenize_str

    def probe(character: str) -> tuple[int, bytes]:
        for kind, companion in ((LETTER, "x"), (NUMBER, "1"), (OTHER, "!")):
            if len(cut(companion + character)) == 1:
                return kind, b""
        return SPACE, b""

    return probe


def chunk_probe(tokenizer: Tokenizer, spaces: str, unsafe: str) -> Probe:
    """For text cut at spaces: whether the character stands for itself whatever is around it.

    Args:
        tokenizer: its normalizer works character by character but for Unicode's forms.
        spaces: characters that chunks are cut at.
        unsafe: further characters that are not to be trusted.
    """
    normalize = _normalizer_of(tokenizer)
    changes_nothing = tokenizer.normalizer is None

    def probe(character: str) -> tuple[int, bytes]:
        if character in spaces:
            return SPACE, b""
        if character in unsafe:
            return _UNSAFE
        if changes_nothing:
            return PART, b""
        if not character.isascii() and (_moves(character) or ord(character) in _joining()):
            return _UNSAFE
        return (PART, b"") if normalize(character) == character else _UNSAFE

    return probe


def _normalizer_of(tokenizer: Tokenizer) -> Callable[[str], str]:
    normalizer = tokenizer.normalizer
    return str if normalizer is None else normalizer.normalize_str


def _is_known(character: str) -> bool:
    """Whether Python's Unicode knows the character: the library's may be newer."""
    return unicodedata.category(character) != "Cn"


def _moves(character: str) -> bool:
    """Whether normalization may put the character before or behind its neighbours."""
    return unicodedata.combining(character) != 0 or not _is_known(character)


@cache
def _joining() -> frozenset[int]:
    """Code points that may melt into the one before them under composition."""
    pairs = (unicodedata.decomposition(chr(c)).split() for c in range(0x110000))
    seconds = {int(p[1], 16) for p in pairs if len(p) == 2 and not p[0].startswith("<")}
    hangul = {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}
    return frozenset(seconds | hangul)
