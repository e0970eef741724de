"""Pairs of segments: what next-sentence and sentence-order prediction share.

BERT (arXiv:1810.04805), appendix A.2, and its code. Sentences of a document are collected into a
*chunk* until it is long enough or the document ends; a chunk is cut into segments A and B, the
pair is trimmed to the room there is, and laid out as `[CLS] A [SEP] B [SEP]`. A chunk is long
enough at the room of a pair, or, with `short_sequence_probability`, at a random shorter length
(drawn per chunk; BERT's code draws once a document).

Draws: chunk number c of the partition draws from draw(draw(key, UNITS), c), with the counters below
after those of `targets`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Drops, Sequences, Tokens
from lmprep.jit import bare_kernel, inline_kernel
from lmprep.keyed_random import Keys, bernoulli, integer_below, sub_keys
from lmprep.sequences.layout import Pieces, Template, lay_out
from lmprep.sequences.outline import Outline
from lmprep.sequences.targets import UNITS, sub_key

# Counters of a chunk's draws. Every token that is trimmed draws with a counter of its own.
LABEL, CUT, OTHER_DOCUMENT, OTHER_SENTENCE, TRIM = range(2, 7)


@dataclass(frozen=True, kw_only=True, eq=False)
class Segments:
    """N pairs before they are trimmed.

    Args:
        starts, stops: int64 [N, 2], the tokens of what stands first and second.
        borrowed: bool [N], whether the second is text from elsewhere.
        chunks: int64 [N], number of the chunk each pair came from.
    """

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    borrowed: NDArray[np.bool_]
    chunks: NDArray[np.int64]

    @classmethod
    def room_for(cls, most: int) -> Segments:
        """Arrays for so many pairs of text that is not borrowed, one a chunk, to be written."""
        return cls(
            starts=np.empty((most, 2), np.int64),
            stops=np.empty((most, 2), np.int64),
            borrowed=np.zeros(most, np.bool_),
            chunks=np.arange(most),
        )

    def own_tokens(self) -> NDArray[np.int64]:
        """Tokens of each pair that are not borrowed, int64 [N]."""
        lengths = self.stops - self.starts
        return lengths[:, 0] + np.where(self.borrowed, 0, lengths[:, 1])

    def take(self, rows: NDArray[np.int64]) -> Segments:
        """The pairs with these indices, copied."""
        return Segments(
            starts=self.starts[rows],
            stops=self.stops[rows],
            borrowed=self.borrowed[rows],
            chunks=self.chunks[rows],
        )


def finish(
    tokens: Tokens,
    outline: Outline,
    segments: Segments,
    template: Template,
    room: int,
    key: np.uint64,
) -> tuple[Sequences, Drops]:
    """Trim the pairs to `room` tokens and lay them out; labels are the caller's."""
    before = segments.own_tokens().sum()
    trimmed = _trimmed(segments, room, sub_keys(sub_key(key, UNITS), segments.chunks))
    lost = int(before - trimmed.own_tokens().sum())
    pieces = Pieces(
        starts=trimmed.starts.ravel(),
        stops=trimmed.stops.ravel(),
        row_offsets=np.arange(0, 2 * len(trimmed.chunks) + 1, 2),
    )
    layout = lay_out(tokens, pieces, template, template.pair_separators)
    second_document, second_sentence = outline.origin(trimmed.starts[:, 1])
    between = layout.places[1::2] - layout.offsets[:-1] - (template.pair_separators - 1)
    sequences = layout.sequences(
        outline.origin(trimmed.starts[:, 0]),
        first_segment_length=between.astype(np.int32),
        second_document=second_document,
        second_sentence=second_sentence,
    )
    return sequences, Drops({"pair_truncation_tokens": lost}) if lost else Drops()


def _trimmed(segments: Segments, room: int, keys: Keys) -> Segments:
    starts, stops = segments.starts.copy(), segments.stops.copy()
    _trim(starts, stops, room, keys)
    return Segments(starts=starts, stops=stops, borrowed=segments.borrowed, chunks=segments.chunks)


@bare_kernel
def _trim(starts: NDArray[np.int64], stops: NDArray[np.int64], room: int, keys: Keys) -> None:
    """Take single tokens from the longer segment's front or back until the pair fits, in place.

    Equally long segments lose from the second. Front or back is a fair draw for every token.
    """
    for row in range(len(keys)):
        a = stops[row, 0] - starts[row, 0]
        b = stops[row, 1] - starts[row, 1]
        for token in range(a + b - room):
            side = 0 if a > b else 1
            a, b = (a - 1, b) if a > b else (a, b - 1)
            if bernoulli(1, 2, keys[row], TRIM + token):
                starts[row, side] += 1
            else:
                stops[row, side] -= 1


@inline_kernel
def sentences_end(sentence_offsets: NDArray[np.int64], first: int, end: int, target: int) -> int:
    """Collect sentences from `first`, at least one, until `target` tokens or sentence `end`."""
    stop = first + 1
    while stop < end and sentence_offsets[stop] - sentence_offsets[first] < target:
        stop += 1
    return stop


@inline_kernel
def cut_place(sentences: int, key: np.uint64) -> int:
    """Sentences of a chunk that make segment A: all but the last at most, but at least one."""
    return 1 + integer_below(max(1, sentences - 1), key, CUT)
