"""Which scan a tokenizer's text needs, and what the scan must know of its characters."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lmprep.tokenization.pieces import NotCovered, PieceModel, piece_model
from lmprep.tokenization.pieces.model import empty_model
from lmprep.tokenization.pipelines import SPACE as SIGN
from lmprep.tokenization.rules import (
    BERT,
    BYTE_LEVEL,
    METASPACE,
    SENTENCE,
    WHITESPACE,
    cut_rule,
    every_word_begins_with_a_sign,
)
from lmprep.tokenization.scanning.bert import cut_bert
from lmprep.tokenization.scanning.byte_level import cut_byte_level
from lmprep.tokenization.scanning.chunks import cut_before_spaces, cut_between_spaces
from lmprep.tokenization.scanning.code_points import ISOLATED, PART, SPACE, CodePointTable
from lmprep.tokenization.scanning.lookup import ENCODED, LEFT, NUMBERED
from lmprep.tokenization.scanning.probes import bert_probe, chunk_probe, gpt2_probe

SEPARATORS = " \t\n\r"
"""What stands between chunks by the rule WHITESPACE."""


Kernel = Callable[..., int]
"""`bert.cut_bert` and its like."""


@dataclass(frozen=True, eq=False)
class Cut:
    """How a tokenizer's text is scanned.

    Args:
        rule: one of `rules`, not SENTENCE.
        kernel: cuts text into words.
        points: kinds of characters.
        lead: what the model sees instead of the space before a word.
        model: encodes words, ...
        new_words: ... if they are ENCODED; see `lookup`.
    """

    rule: int
    kernel: Kernel
    points: CodePointTable
    lead: bytes
    model: PieceModel
    new_words: int

    @property
    def checked(self) -> NDArray[np.uint8] | None:
        """Kinds of the characters that a word must be looked through for; None if it need not."""
        raw = self.rule in (METASPACE, WHITESPACE)
        return self.points.tables.kinds if raw else None

    @property
    def drops_separators(self) -> bool:
        """Whether what stands between words is in none of them."""
        return self.rule == WHITESPACE

    def numbering(self) -> Cut:
        """The same with a model that numbers words instead of encoding them."""
        return replace(self, new_words=NUMBERED)


def cut_of(tokenizer: Tokenizer, special: tuple[str, ...] = ()) -> Cut | None:
    """How to scan this tokenizer's text; None if only the library can tell.

    Args:
        tokenizer: special tokens are read as text.
        special: special tokens at which words are cut in two.
    """
    rule = cut_rule(tokenizer)
    if rule == SENTENCE:
        return None
    model, new_words = _model_of(tokenizer)
    if rule == BERT:
        points = CodePointTable(bert_probe(tokenizer))
        if new_words == ENCODED and _ascii_is_itself(points):
            return Cut(BERT, cut_bert, points, b"", model, new_words)
        rule = WHITESPACE
    if rule == BYTE_LEVEL:
        points = CodePointTable(gpt2_probe(tokenizer))
        return Cut(rule, cut_byte_level, points, b"", model, new_words)
    if rule == METASPACE:
        unsafe = SIGN + "".join({token[0] for token in special})
        points = CodePointTable(chunk_probe(tokenizer, " ", unsafe))
        if not every_word_begins_with_a_sign(tokenizer):
            new_words = LEFT
        return Cut(rule, cut_before_spaces, points, SIGN.encode(), model, new_words)
    points = CodePointTable(chunk_probe(tokenizer, SEPARATORS, ""))
    return Cut(rule, cut_between_spaces, points, b"", model, LEFT)


def _model_of(tokenizer: Tokenizer) -> tuple[PieceModel, int]:
    """The model, and what happens to new words."""
    try:
        return piece_model(tokenizer), ENCODED
    except NotCovered:
        return empty_model(), LEFT


def _ascii_is_itself(points: CodePointTable) -> bool:
    """Whether ASCII letters and digits are kept, capitals perhaps made small, all alike, signs are
    words by themselves, and spaces and newlines are in none: what `cut_bert` takes for granted."""
    tables = points.tables
    lowers = tables.texts[2 * ord("A")] == ord("a")
    wanted = {c: (PART, c.lower() if lowers else c) for c in string.ascii_letters + string.digits}
    wanted |= {c: (ISOLATED, c) for c in string.punctuation}
    wanted |= {c: (SPACE, "") for c in " \n"}
    return all(
        (tables.kinds[ord(c)], tables.texts[2 * ord(c)]) == (kind, ord(text) if text else 0)
        for c, (kind, text) in wanted.items()
    )
