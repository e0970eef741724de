"""Packed windows: documents as one stream, cut at sentence ends (FULL-SENTENCES of RoBERTa).

RoBERTa (arXiv:1907.11692), section 4.2. Between two documents in a window stands one separator;
the template's closing one serves the last. The partition's last window may be short.

    documents  a b c. d e. | f g.      length 8      [CLS] a b c d e [SEP]  [CLS] f g [SEP]
                                       length 10     [CLS] a b c d e [SEP] f g [SEP]
                                                     document_starts  7
"""

from __future__ import annotations

import numpy as np

from lmprep.batches import Drops, Sequences, Tokens
from lmprep.ragged import Ragged
from lmprep.sequences.outline import outline_of
from lmprep.sequences.templates import Layout, Pieces, Template, lay_out
from lmprep.sequences.windows import cut_windows


def packed_windows(tokens: Tokens, length: int, template: Template) -> tuple[Sequences, Drops]:
    """Windows of at most `length` tokens, special tokens included, over all documents in order."""
    outline = outline_of(tokens)
    pieces = cut_windows(outline, length - template.single_specials, cross_documents=True)
    layout = lay_out(tokens, pieces, template, separators=1)
    document, sentence = outline.origin(pieces.first)
    sequences = Sequences(
        ids=layout.ids,
        word_start=layout.word_start,
        maskable=layout.maskable,
        offsets=layout.offsets,
        document=document,
        first_sentence=sentence,
        document_starts=_further_documents(pieces, layout),
    )
    return sequences, outline.drops()


def _further_documents(pieces: Pieces, layout: Layout) -> Ragged:
    """Where in its sequence each document after the first begins: int32, ragged, N rows."""
    further = np.ones(len(pieces.starts), np.bool_)
    further[pieces.row_offsets[:-1]] = False
    offsets = pieces.row_offsets - np.arange(len(pieces.row_offsets))
    return Ragged(layout.piece_positions[further].astype(np.int32), offsets)
