"""Frame `ended`: a stream in which a separator follows each document, cut at exact lengths.

The rows of GPT. A separator belongs to the document it closes; a window may begin with one, and
then comes from that document.

    documents  a b c d e. | f g h i.      length 8
    packed     a b c d e <|endoftext|> f g    h i <|endoftext|>        document_starts  6 | none
    document   a b c d e <|endoftext|>        f g h i <|endoftext|>
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lmprep.batches import Drops, Sequences, Tokens
from lmprep.sequences.layout import Layout, Pieces, lay_out, positions_in_rows, stream_template
from lmprep.sequences.outline import Origin, Outline, outline_of
from lmprep.sequences.targets import window_targets
from lmprep.sequences.windows import Int64s, cut_at_lengths
from lmprep.settings import SequenceSettings
from lmprep.vocabulary import Vocabulary


def ended_windows(
    tokens: Tokens, settings: SequenceSettings, vocabulary: Vocabulary, key: np.uint64
) -> tuple[Sequences, Drops]:
    """Windows of exactly `length` tokens; the last, in `document` each document's, may be short."""
    outline, template = outline_of(tokens), stream_template(vocabulary)
    bounds = outline.document_tokens
    pieces = Pieces(starts=bounds[:-1], stops=bounds[1:], row_offsets=np.arange(len(bounds)))
    stream = lay_out(tokens, pieces, template, separators=0)
    packed = settings.sequences == "packed"

    def lengths(rows: int) -> Int64s:
        return window_targets(np.full(rows, settings.length), settings, key)

    offsets = cut_at_lengths(stream.offsets[[0, -1]] if packed else stream.offsets, lengths)
    stream.word_start[offsets[:-1]] = True
    sequences = replace(stream, offsets=offsets).sequences(
        _origin(outline, stream, offsets[:-1]),
        document_starts=positions_in_rows(stream.places, offsets) if packed else None,
    )
    return sequences, outline.drops()


def _origin(outline: Outline, stream: Layout, places: Int64s) -> Origin:
    """Where places of the stream come from; a separator comes from its document's last sentence."""
    document = np.searchsorted(stream.offsets, places, side="right") - 1
    tokens = places - stream.offsets[document] + outline.document_tokens[document]
    return outline.origin(np.minimum(tokens, outline.document_tokens[document + 1] - 1))
