"""Which scan a tokenizer's text needs, and what the scan must know of its characters."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass

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
from lmprep.tokenization.scanning.lookup import LIBRARY, NUMBERING
from lmprep.tokenization.scanning.probes import bert_probe, chunk_probe, gpt2_probe

SEPARATORS = " \t\n\r"
"""What stands between chunks by the rule WHITESPACE."""
_NOTHING = np.empty(0, np.uint8)


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
        model: encodes words; its kind is LIBRARY where the library has to.
    """

    rule: int
    kernel: Kernel
    points: CodePointTable
    lead: bytes
    model: PieceModel

    @property
    def checked(self) -> NDArray[np.uint8]:
        """Kinds of the characters that a word must be looked through for; none if it need not."""
        raw = self.rule in (METASPACE, WHITESPACE)
        return self.points.tables.kinds if raw else _NOTHING

    @property
    def drops_separators(self) -> bool:
        """Whether what stands between words is in none of them."""
        return self.rule == WHITESPACE

    def numbering(self) -> Cut:
        """The same with a model that numbers words instead of encoding them."""
        model = empty_model()._replace(kind=NUMBERING)
        return Cut(self.rule, self.kernel, self.points, self.lead, model)


def cut_of(tokenizer: Tokenizer, special: tuple[str, ...] = ()) -> Cut | None:
    """How to scan this tokenizer's text; None if only the library can tell.

    Args:
        tokenizer: special tokens are read as text.
        special: special tokens at which words are cut in two.
    """
    rule, model = cut_rule(tokenizer), _model_of(tokenizer)
    if rule == SENTENCE:
        return None
    if rule == BERT:
        points = CodePointTable(bert_probe(tokenizer))
        if model.kind != LIBRARY and _ascii_is_itself(points):
            return Cut(BERT, cut_bert, points, b"", model)
        rule = WHITESPACE
    if rule == BYTE_LEVEL:
        return Cut(rule, cut_byte_level, CodePointTable(gpt2_probe(tokenizer)), b"", model)
    if rule == METASPACE:
        unsafe = SIGN + "".join({token[0] for token in special})
        points = CodePointTable(chunk_probe(tokenizer, " ", unsafe))
        if not every_word_begins_with_a_sign(tokenizer):
            model = model._replace(kind=LIBRARY)
        return Cut(rule, cut_before_spaces, points, SIGN.encode(), model)
    points = CodePointTable(chunk_probe(tokenizer, SEPARATORS, ""))
    model = model._replace(kind=LIBRARY)
    return Cut(rule, cut_between_spaces, points, b"", model)


def _model_of(tokenizer: Tokenizer) -> PieceModel:
    try:
        return piece_model(tokenizer)
    except NotCovered:
        return empty_model()._replace(kind=LIBRARY)


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
