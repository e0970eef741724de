"""Document windows: every sequence is text of one document (DOC-SENTENCES of RoBERTa's paper).

documents  a b c. d e. | f g.      length 6      [CLS] a b c [SEP]  [CLS] d e [SEP]
                                                 [CLS] f g [SEP]
"""

from __future__ import annotations

from lmprep.batches import Drops, Sequences, Tokens
from lmprep.sequences.outline import outline_of
from lmprep.sequences.templates import Template, lay_out
from lmprep.sequences.windows import cut_windows


def document_windows(tokens: Tokens, length: int, template: Template) -> tuple[Sequences, Drops]:
    """Windows of at most `length` tokens, special tokens included, that end with a document."""
    outline = outline_of(tokens)
    pieces = cut_windows(outline, length - template.single_specials, cross_documents=False)
    layout = lay_out(tokens, pieces, template, separators=0)
    document, sentence = outline.origin(pieces.first)
    sequences = Sequences(
        ids=layout.ids,
        word_start=layout.word_start,
        maskable=layout.maskable,
        offsets=layout.offsets,
        document=document,
        first_sentence=sentence,
    )
    return sequences, outline.drops()
