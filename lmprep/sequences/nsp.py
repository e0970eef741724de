"""Next-sentence prediction: does B follow A in the text, or is it from elsewhere?

BERT (arXiv:1810.04805), section 3.1, task 2. Every chunk draws its label fairly. "Elsewhere" takes
B from another document of the partition, always (BERT's code gives up after ten tries), and puts
the unused sentences of the chunk back.

A chunk of one sentence has nothing that could follow. In BERT's code it becomes a negative, which
makes 54 to 100 % of the pairs negative. Here such a chunk that drew "follows" is a *debt*: the next
longer chunk that draws "elsewhere" becomes a positive instead. At the partition's end every debt
still unpaid drops two one-sentence chunks (or all there are), so labels stay half and half.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Drops, Sequences, Tokens
from lmprep.jit import bare_kernel, inline_kernel
from lmprep.keyed_random import bernoulli, draw, integer_below, permutation
from lmprep.sequences.layout import template_of
from lmprep.sequences.outline import Outline, outline_of
from lmprep.sequences.pairs import (
    LABEL,
    OTHER_DOCUMENT,
    OTHER_SENTENCE,
    Segments,
    cut_place,
    finish,
    sentences_end,
)
from lmprep.sequences.targets import BALANCE, UNITS, Law, law_of, sub_key, target_length
from lmprep.settings import SequenceSettings
from lmprep.vocabulary import Vocabulary

FOLLOWS, ELSEWHERE = 0, 1


def next_sentence_pairs(
    tokens: Tokens, settings: SequenceSettings, vocabulary: Vocabulary, key: np.uint64
) -> tuple[Sequences, Drops]:
    """Pairs with `next_sentence_label`: 0 where B follows A, 1 where it is from elsewhere."""
    template = template_of(vocabulary)
    law = law_of(settings.length - template.pair_specials, settings)
    outline = outline_of(tokens)
    segments, one_sentence, debts = _chunks(outline, law, key)
    kept = balanced(one_sentence, debts, sub_key(key, BALANCE))
    pairs = segments.take(kept)
    sequences, trimmed = finish(tokens, outline, pairs, template, law[0], key)
    drops = outline.drops() + trimmed + _alone(outline) + _unbalanced(segments, pairs)
    return replace(sequences, next_sentence_label=pairs.borrowed.astype(np.int8)), drops


def _chunks(outline: Outline, law: Law, key: np.uint64) -> tuple[Segments, NDArray[np.bool_], int]:
    """All chunks as pairs, which of them are of one sentence (bool [N]), and the debts left."""
    # Without a second document there is nothing to draw negatives from.
    most = len(outline.ordinals) if len(outline) > 1 else 0
    segments, one_sentence = Segments.room_for(most), np.empty(most, np.bool_)
    rows, debts = 0, 0
    if most:
        rows, debts = _pair_up(
            outline.sentence_offsets,
            outline.document_offsets,
            law,
            sub_key(key, UNITS),
            segments.starts,
            segments.stops,
            segments.borrowed,
            one_sentence,
        )
    return segments.take(np.arange(rows)), one_sentence[:rows], debts


def balanced(one_sentence: NDArray[np.bool_], debts: int, key: np.uint64) -> NDArray[np.int64]:
    """Indices of the pairs that stay when every debt drops two one-sentence chunks, rising."""
    singles = np.flatnonzero(one_sentence)
    dropped = singles[permutation(len(singles), key) < 2 * debts]
    return np.delete(np.arange(len(one_sentence)), dropped)


def _alone(outline: Outline) -> Drops:
    if len(outline) != 1:
        return Drops()
    sentences = len(outline.ordinals)
    return Drops(nsp_single_document_sentences=sentences, nsp_single_document_tokens=outline.tokens)


def _unbalanced(segments: Segments, kept: Segments) -> Drops:
    pairs = len(segments.chunks) - len(kept.chunks)
    if not pairs:
        return Drops()
    tokens = int(segments.own_tokens().sum() - kept.own_tokens().sum())
    return Drops(nsp_balance_pairs=pairs, nsp_balance_tokens=tokens)


@bare_kernel
def _pair_up(
    sentence_offsets: NDArray[np.int64],
    document_offsets: NDArray[np.int64],
    law: Law,
    key: np.uint64,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    borrowed: NDArray[np.bool_],
    one_sentence: NDArray[np.bool_],
) -> tuple[int, int]:
    """Walk all documents (two at least); return how many pairs were made and the debts left."""
    row, debts = 0, 0
    for document in range(len(document_offsets) - 1):
        first, end = document_offsets[document], document_offsets[document + 1]
        while first < end:
            own = draw(key, row)
            target = target_length(law, own)
            stop = sentences_end(sentence_offsets, first, end, target)
            cut = first + cut_place(stop - first, own)
            drawn = bernoulli(1, 2, own, LABEL)
            elsewhere, debts = settled(drawn, stop - first, debts)
            one_sentence[row] = stop - first == 1
            starts[row, 0], stops[row, 0] = sentence_offsets[first], sentence_offsets[cut]
            second = cut
            if elsewhere:
                wanted = target - (stops[row, 0] - starts[row, 0])
                second, stop = borrow(sentence_offsets, document_offsets, document, wanted, own)
            starts[row, 1], stops[row, 1] = sentence_offsets[second], sentence_offsets[stop]
            borrowed[row] = elsewhere
            first = cut if elsewhere else stop
            row += 1
    return row, debts


@inline_kernel
def settled(drawn: bool, sentences: int, debts: int) -> tuple[bool, int]:
    """What a chunk becomes that drew "elsewhere" (True) or "follows", and the debts after it."""
    if sentences == 1:
        return True, debts + (not drawn)
    if drawn and debts > 0:
        return False, debts - 1
    return drawn, debts


@inline_kernel
def borrow(
    sentence_offsets: NDArray[np.int64],
    document_offsets: NDArray[np.int64],
    document: int,
    wanted: int,
    key: np.uint64,
) -> tuple[int, int]:
    """Sentences of another document, at least one, up to `wanted` tokens: first and end."""
    other = integer_below(len(document_offsets) - 2, key, OTHER_DOCUMENT)
    other += other >= document
    first, end = document_offsets[other], document_offsets[other + 1]
    first += integer_below(end - first, key, OTHER_SENTENCE)
    return first, sentences_end(sentence_offsets, first, end, wanted)
