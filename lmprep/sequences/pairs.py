"""Pairs of segments: what next-sentence and sentence-order prediction share.

BERT (arXiv:1810.04805), appendix A.2, and its code. Sentences of a document are collected into a
*chunk* until it is long enough or the document ends; a chunk is cut into segments A and B, the
pair is trimmed to the room there is, and laid out as `[CLS] A [SEP] B [SEP]`. A chunk is long
enough at the room of a pair, or, with `short_sequence_probability`, at a random shorter length
(drawn per chunk; BERT's code draws once a document).

Draws: chunk number c of the partition draws from draw(draw(key, 0), c), with the counters below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Drops, Sequences, Tokens
from lmprep.jit import inline_kernel, kernel
from lmprep.keyed_random import Keys, bernoulli, draw, integer_below, sub_keys
from lmprep.sequences.outline import Outline
from lmprep.sequences.templates import Pieces, Template, lay_out
from lmprep.settings import SequenceSettings

# What the partition's key is divided among.
CHUNKS, BALANCE = range(2)
# Counters of a chunk's draws. Every token that is trimmed draws with a counter of its own.
IS_SHORT, SHORT_TARGET, LABEL, CUT, OTHER_DOCUMENT, OTHER_SENTENCE, TRIM = range(7)


@dataclass(frozen=True, kw_only=True)
class ChunkLaw:
    """How long a chunk grows.

    Args:
        room: tokens of a pair, without special tokens.
        short, whole: a chunk aims at a random length from 2 to `room` in `short` of `whole` cases.
    """

    room: int
    short: int
    whole: int

    @classmethod
    def of(cls, settings: SequenceSettings, template: Template) -> ChunkLaw:
        """The law of these settings."""
        share = settings.short_sequence_probability
        room = settings.length - template.pair_specials
        return cls(room=room, short=share.numerator, whole=share.denominator)

    @property
    def plain(self) -> tuple[int, int, int]:
        """As kernels take it."""
        return self.room, self.short, self.whole


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


def sub_key(key: np.uint64, number: int) -> np.uint64:
    """The key of sub-unit `number`: `CHUNKS` (whose sub-unit c is chunk c) or `BALANCE`."""
    return np.uint64(draw(key, number))  # back in Python a compiled function's result is an int


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
    trimmed = _trimmed(segments, room, sub_keys(sub_key(key, CHUNKS), segments.chunks))
    lost = int(before - trimmed.own_tokens().sum())
    pieces = Pieces(
        starts=trimmed.starts.ravel(),
        stops=trimmed.stops.ravel(),
        row_offsets=np.arange(0, 2 * len(trimmed.chunks) + 1, 2),
    )
    layout = lay_out(tokens, pieces, template, template.pair_separators)
    document, sentence = outline.origin(pieces.starts)
    between = layout.piece_positions[1::2] - (template.pair_separators - 1)
    sequences = Sequences(
        ids=layout.ids,
        word_start=layout.word_start,
        maskable=layout.maskable,
        offsets=layout.offsets,
        document=document[::2].copy(),
        first_sentence=sentence[::2].copy(),
        first_segment_length=between.astype(np.int32),
        second_document=document[1::2].copy(),
        second_sentence=sentence[1::2].copy(),
    )
    return sequences, Drops({"pair_truncation_tokens": lost}) if lost else Drops()


def _trimmed(segments: Segments, room: int, keys: Keys) -> Segments:
    starts, stops = segments.starts.copy(), segments.stops.copy()
    _trim(starts, stops, room, keys)
    return Segments(starts=starts, stops=stops, borrowed=segments.borrowed, chunks=segments.chunks)


@kernel
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
def target_length(law: tuple[int, int, int], key: np.uint64) -> int:
    """Tokens at which a chunk is long enough."""
    room, short, whole = law
    if bernoulli(short, whole, key, IS_SHORT):
        return 2 + integer_below(room - 1, key, SHORT_TARGET)
    return room


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
