"""Frame `bare`: text and nothing else, cut at exact lengths.

For objectives that put their own special tokens around inputs and targets, such as T5's. An
objective may say how many tokens each window holds (what it leaves of them fits a length), and
which denoiser it is for.

    documents  a b. c d e f. | g h.    lengths 5, 3, 3
    packed     a b c d e    f g h              sentence_starts  2 | 1
    document   a b c d e    f    g h           sentence_starts  2 | none | none
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Drops, Sequences, Tokens
from lmprep.sequences.layout import positions_in_rows
from lmprep.sequences.outline import outline_of
from lmprep.sequences.targets import window_targets
from lmprep.sequences.windows import Int64s, cut_at_lengths
from lmprep.settings import SequenceSettings

RawLengths = Callable[[int], tuple[NDArray[np.int64], NDArray[np.int8] | None]]
"""How many tokens each of the first so many windows holds, and its denoiser."""


def bare_windows(
    tokens: Tokens,
    settings: SequenceSettings,
    key: np.uint64,
    raw_lengths: RawLengths | None,
    sentence_starts: bool,
) -> tuple[Sequences, Drops]:
    """Windows of exactly raw_lengths(...)[w] tokens, by default `length`.

    The last of the partition, in `document` of each document, holds what is left.

    Raises:
        ValueError: a window is to hold fewer than two tokens.
    """
    outline = outline_of(tokens)
    told = raw_lengths or (lambda rows: (np.full(rows, settings.length), None))

    def lengths(rows: int) -> Int64s:
        return window_targets(_at_least_two(told(rows)[0], settings.length), settings, key)

    packed = settings.sequences == "packed"
    runs = outline.sentence_offsets[[0, -1]] if packed else outline.document_tokens
    offsets = cut_at_lengths(runs, lengths)
    first, stop = offsets[[0, -1]]
    word_start = tokens.word_start[first:stop].copy()
    word_start[offsets[:-1] - first] = True
    document, sentence = outline.origin(offsets[:-1])
    inner = positions_in_rows(outline.sentence_offsets[:-1], offsets) if sentence_starts else None
    sequences = Sequences(
        ids=tokens.ids[first:stop],
        word_start=word_start,
        maskable=np.ones(stop - first, np.bool_),
        offsets=offsets - first,
        document=document,
        first_sentence=sentence,
        sentence_starts=inner,
        denoiser=told(len(document))[1],
    )
    return sequences, outline.drops()


def _at_least_two(lengths: Int64s, length: int) -> Int64s:
    """The lengths of windows, unless one leaves nothing to predict from."""
    if np.any(lengths < 2):
        raise ValueError(
            f"length {length} leaves a window {lengths.min()} tokens of text, fewer than two; "
            f"length {4 * length} would leave more"
        )
    return lengths
