"""Frame `template`: windows of text between their family's special tokens.

    documents  a b c. d e. | f g.
    document   length 6    [CLS] a b c [SEP]  [CLS] d e [SEP]  [CLS] f g [SEP]
    packed     length 8    [CLS] a b c d e [SEP]  [CLS] f g [SEP]
               length 10   [CLS] a b c d e [SEP] f g [SEP]            document_starts  7

`document` keeps every window within one document, `packed` makes one stream of them (DOC-SENTENCES
and FULL-SENTENCES of RoBERTa, arXiv:1907.11692, section 4.2). Between two documents in a window
stands one separator; the template's closing one serves the last. The partition's last window may
be short.
"""

from __future__ import annotations

import numpy as np

from lmprep.batches import Drops, Sequences, Tokens
from lmprep.ragged import Ragged
from lmprep.sequences.layout import Layout, Pieces, lay_out, positions_in_rows, template_of
from lmprep.sequences.outline import outline_of
from lmprep.sequences.targets import window_targets
from lmprep.sequences.windows import Int64s, cut_at_sentences
from lmprep.settings import SequenceSettings
from lmprep.vocabulary import Vocabulary


def template_windows(
    tokens: Tokens, settings: SequenceSettings, vocabulary: Vocabulary, key: np.uint64
) -> tuple[Sequences, Drops]:
    """Windows of at most `length` tokens, special tokens included, cut at the ends of sentences."""
    template, outline = template_of(vocabulary), outline_of(tokens)
    packed = settings.sequences == "packed"

    def aims(rows: int) -> tuple[Int64s, Int64s]:
        rooms = np.full(rows, settings.length - template.single_specials)
        return rooms, window_targets(rooms, settings, key)

    pieces = cut_at_sentences(outline, aims, cross_documents=packed)
    layout = lay_out(tokens, pieces, template, separators=1)
    sequences = layout.sequences(
        outline.origin(pieces.first),
        document_starts=_further_documents(pieces, layout) if packed else None,
    )
    return sequences, outline.drops()


def _further_documents(pieces: Pieces, layout: Layout) -> Ragged:
    """Where in its sequence each document after the first begins: int32, ragged, N rows."""
    further = np.ones(len(pieces.starts), np.bool_)
    further[pieces.row_offsets[:-1]] = False
    return positions_in_rows(layout.places[further], layout.offsets)
