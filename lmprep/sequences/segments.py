"""Frame `segments`: windows of one document, split in two segments (ELECTRA).

ELECTRA's code (arXiv:2003.10555): one window in ten is one segment, as in classification tasks.
In the others the first segment aims at half of the text the window aims at. A sentence joins it
while it fits; the first that does not still joins in half of the cases, unless the half is full
already. The rest, if there is any, is the second segment.

    sentences  a b. c d e. f g.    [CLS] a b [SEP] c d e f g [SEP]    first_segment_length  4
                                   [CLS] a b c d e [SEP] f g [SEP]                          7

Nothing is lost and nothing changes places, in contrast to ELECTRA's code: windows end where a
sentence still fits, and a sentence longer than a window goes on in the next, where it cuts off what
does not fit; and after a sentence of the second segment none joins the first, where it lets short
ones jump the queue. A sentence that fills the first segment exactly fits.

Draws of window w, beside its target: counter 2 whether it is one segment, 3 whether the sentence
that does not fit still joins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Drops, Sequences, Tokens
from lmprep.jit import bare_kernel, kernel
from lmprep.keyed_random import bernoulli, draw
from lmprep.ragged import offsets_of
from lmprep.sequences.layout import Layout, Pieces, Template, lay_out, template_of
from lmprep.sequences.outline import outline_of
from lmprep.sequences.targets import UNITS, sub_key, window_targets
from lmprep.sequences.windows import Int64s, cut_at_sentences
from lmprep.settings import SequenceSettings
from lmprep.vocabulary import Vocabulary

ONE_SEGMENT, JOINS = range(2, 4)


def two_segment_windows(
    tokens: Tokens, settings: SequenceSettings, vocabulary: Vocabulary, key: np.uint64
) -> tuple[Sequences, Drops]:
    """Windows of at most `length` tokens with `first_segment_length`.

    Raises:
        ValueError: the sequences are to be packed.
    """
    if settings.sequences == "packed":
        raise ValueError("windows of two segments are not packed; sequences document would do")
    template, outline = template_of(vocabulary), outline_of(tokens)
    windows_key = sub_key(key, UNITS)

    def aims(rows: int) -> tuple[Int64s, Int64s]:
        specials = np.where(
            _alone(rows, windows_key), template.single_specials, template.pair_specials
        )
        rooms = settings.length - specials
        return rooms, window_targets(rooms, settings, key)

    windows = cut_at_sentences(outline, aims, cross_documents=False)
    rows = len(windows)
    halves = np.where(_alone(rows, windows_key), settings.length, aims(rows)[1] // 2)
    cuts = np.empty(rows, np.int64)
    _split(outline.sentence_offsets, windows.starts, windows.stops, halves, windows_key, cuts)
    pieces = _in_two(windows, cuts)
    layout = lay_out(tokens, pieces, template, template.pair_separators)
    sequences = layout.sequences(
        outline.origin(windows.starts),
        first_segment_length=_first_lengths(layout, pieces, template),
    )
    return sequences, outline.drops()


def _first_lengths(layout: Layout, pieces: Pieces, template: Template) -> NDArray[np.int32]:
    """Tokens up to and with the first separator, all of a row of one segment, int32 [N]."""
    second = layout.places[pieces.row_offsets[1:] - 1] - layout.offsets[:-1]
    two = np.diff(pieces.row_offsets) == 2
    up_to_second = second - (template.pair_separators - 1)
    return np.where(two, up_to_second, np.diff(layout.offsets)).astype(np.int32)


def _in_two(windows: Pieces, cuts: Int64s) -> Pieces:
    """Windows of one piece each, cut at the token cuts[w], or left whole where that is its end."""
    two = cuts < windows.stops
    row_offsets = offsets_of(1 + two)
    starts, stops = np.empty((2, row_offsets[-1]), np.int64)
    starts[row_offsets[1:] - 1], stops[row_offsets[:-1]] = cuts, cuts
    starts[row_offsets[:-1]], stops[row_offsets[1:] - 1] = windows.starts, windows.stops
    return Pieces(starts=starts, stops=stops, row_offsets=row_offsets)


@kernel
def _alone(rows: int, key: np.uint64) -> NDArray[np.bool_]:
    """Which windows are to be one segment, bool [rows]."""
    alone = np.empty(rows, np.bool_)
    for window in range(rows):
        alone[window] = bernoulli(1, 10, draw(key, window), ONE_SEGMENT)
    return alone


@bare_kernel
def _split(
    sentence_offsets: Int64s,
    starts: Int64s,
    stops: Int64s,
    halves: Int64s,
    key: np.uint64,
    cuts: Int64s,
) -> None:
    """Say at which token each window's second segment begins; its end where there is none.

    Args:
        starts, stops: int64 [N], the windows' tokens, rising.
        halves: int64 [N], tokens the first segment aims at.
        cuts: int64 [N], out.
    """
    sentence = 0
    for window in range(len(cuts)):
        begin = starts[window]
        while begin < stops[window]:
            while sentence_offsets[sentence + 1] <= begin:
                sentence += 1
            end = min(sentence_offsets[sentence + 1], stops[window])
            taken, half = begin - starts[window], halves[window]
            fits = taken == 0 or end - starts[window] <= half
            if not fits and (taken >= half or not bernoulli(1, 2, draw(key, window), JOINS)):
                break
            begin = end
        cuts[window] = begin
