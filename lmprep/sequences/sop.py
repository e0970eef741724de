"""Sentence-order prediction: were the two segments swapped?

ALBERT (arXiv:1909.11942), section 3.1. Both segments are of one chunk, always. A chunk of one
sentence has no order: it is dropped and counted, where ALBERT's code borrows text from another
document and calls the pair swapped.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Drops, Sequences, Tokens
from lmprep.jit import bare_kernel
from lmprep.keyed_random import bernoulli, draw
from lmprep.sequences.layout import template_of
from lmprep.sequences.outline import Outline, outline_of
from lmprep.sequences.pairs import LABEL, Segments, cut_place, finish, sentences_end
from lmprep.sequences.targets import UNITS, Law, law_of, sub_key, target_length
from lmprep.settings import SequenceSettings
from lmprep.vocabulary import Vocabulary

IN_ORDER, SWAPPED = 0, 1


def sentence_order_pairs(
    tokens: Tokens, settings: SequenceSettings, vocabulary: Vocabulary, key: np.uint64
) -> tuple[Sequences, Drops]:
    """Pairs with `sentence_order_label`: 0 in the text's order, 1 swapped."""
    template = template_of(vocabulary)
    law = law_of(settings.length - template.pair_specials, settings)
    outline = outline_of(tokens)
    segments = _chunks(outline, law, key)
    pairs = segments.take(np.flatnonzero((segments.starts < segments.stops).all(axis=1)))
    sequences, trimmed = finish(tokens, outline, pairs, template, law[0], key)
    swapped = pairs.starts[:, 0] > pairs.starts[:, 1]
    drops = outline.drops() + trimmed + _orderless(segments, pairs)
    return replace(sequences, sentence_order_label=swapped.astype(np.int8)), drops


def _chunks(outline: Outline, law: Law, key: np.uint64) -> Segments:
    """All chunks as segments; of a chunk of one sentence one segment is empty."""
    segments = Segments.room_for(len(outline.ordinals))
    rows = _pair_up(
        outline.sentence_offsets,
        outline.document_offsets,
        law,
        sub_key(key, UNITS),
        segments.starts,
        segments.stops,
    )
    return segments.take(np.arange(rows))


def _orderless(segments: Segments, kept: Segments) -> Drops:
    sentences = len(segments.chunks) - len(kept.chunks)
    if not sentences:
        return Drops()
    tokens = int(segments.own_tokens().sum() - kept.own_tokens().sum())
    return Drops(sop_one_sentence_chunk_sentences=sentences, sop_one_sentence_chunk_tokens=tokens)


@bare_kernel
def _pair_up(
    sentence_offsets: NDArray[np.int64],
    document_offsets: NDArray[np.int64],
    law: Law,
    key: np.uint64,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
) -> int:
    """Walk all documents; return how many chunks there were."""
    row = 0
    for document in range(len(document_offsets) - 1):
        first, end = document_offsets[document], document_offsets[document + 1]
        while first < end:
            own = draw(key, row)
            stop = sentences_end(sentence_offsets, first, end, target_length(law, own))
            cut = first + cut_place(stop - first, own)
            a = 1 if bernoulli(1, 2, own, LABEL) else 0  # where the text's first segment stands
            starts[row, a], stops[row, a] = sentence_offsets[first], sentence_offsets[cut]
            starts[row, 1 - a], stops[row, 1 - a] = sentence_offsets[cut], sentence_offsets[stop]
            first = stop
            row += 1
    return row
