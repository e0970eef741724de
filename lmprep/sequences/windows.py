"""Windows: how text is cut, at the ends of sentences or at exact lengths. Nothing is lost.

At sentence ends: a window ends at the last sentence end that fits, or earlier, at the first one
that reaches its target. A sentence longer than a whole window has to be cut anyway: it begins
where there is room, is cut at the window's target, and goes on in the next window.

At exact lengths: windows tile the text one after another, wherever words or sentences end.

How many windows there will be is known only when they are cut. Both functions ask for the rooms of
as many windows as there should be, and for twice as many until they suffice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import bare_kernel
from lmprep.sequences.layout import Pieces
from lmprep.sequences.outline import Outline

Int64s = NDArray[np.int64]


def cut_at_sentences(
    outline: Outline, aims: Callable[[int], tuple[Int64s, Int64s]], *, cross_documents: bool
) -> Pieces:
    """Cut documents into windows that end, where possible, with a sentence.

    Args:
        outline: the sentences and documents.
        aims: says of the first so many windows how many tokens have room in each, and at how many
            it is long enough (1 to its room): int64 [rows] each.
        cross_documents: go on with the next document in the same window, as another piece, for
            which one separator takes room too; else a document's end always ends the window.
    """
    rows = len(outline.ordinals) + 1
    while True:
        # A piece begins a window or a document.
        starts, stops = np.empty((2, rows + len(outline)), np.int64)
        first_pieces = np.empty(rows + 1, np.int64)
        pieces, windows = _cut(
            outline.sentence_offsets,
            outline.document_offsets,
            *aims(rows),
            cross_documents,
            starts,
            stops,
            first_pieces,
        )
        if windows >= 0:
            break
        rows *= 2
    first_pieces[windows] = pieces
    return Pieces(
        starts=starts[:pieces].copy(),
        stops=stops[:pieces].copy(),
        row_offsets=first_pieces[: windows + 1].copy(),
    )


def cut_at_lengths(runs: Int64s, lengths: Callable[[int], Int64s]) -> Int64s:
    """Cut runs of tokens into windows of exact lengths.

    Args:
        runs: int64 [R + 1], run r is tokens runs[r] to runs[r + 1] - 1.
        lengths: says how many tokens each of the first so many windows holds, int64 [rows]; the
            last window of a run holds what is left.

    Returns:
        int64 [N + 1], window w is tokens offsets[w] to offsets[w + 1] - 1.
    """
    rows = len(runs) + int(runs[-1] - runs[0]) // 128
    while True:
        offsets = np.empty(rows + 1, np.int64)
        windows = _tile(runs, lengths(rows), offsets)
        if windows >= 0:
            return offsets[: windows + 1].copy()
        rows *= 2


@bare_kernel
def _cut(
    sentence_offsets: Int64s,
    document_offsets: Int64s,
    rooms: Int64s,
    targets: Int64s,
    cross_documents: bool,
    starts: Int64s,
    stops: Int64s,
    first_pieces: Int64s,
) -> tuple[int, int]:
    """Write the pieces and each window's first piece.

    Returns:
        How many pieces and windows there are; -1 windows where the rooms do not suffice.
    """
    pieces, windows = 0, 0
    left = 0  # tokens that still fit in the open window
    wanted = 0  # tokens it is still short of its target
    for document in range(len(document_offsets) - 1):
        left = left - 1 if cross_documents else 0
        joined = False  # does the last piece belong to this document and the open window?
        for sentence in range(document_offsets[document], document_offsets[document + 1]):
            start, stop = sentence_offsets[sentence], sentence_offsets[sentence + 1]
            while start < stop:
                if stop - start > left:
                    if windows == len(rooms):
                        return pieces, -1
                    # It waits for the next window, unless it is too long for that one too.
                    if left <= 0 or stop - start <= rooms[windows]:
                        first_pieces[windows] = pieces
                        left, wanted, joined = rooms[windows], targets[windows], False
                        windows += 1
                if not joined:
                    starts[pieces] = start
                    pieces, joined = pieces + 1, True
                size = stop - start if stop - start <= left else min(left, wanted)
                start, left, wanted = start + size, left - size, wanted - size
                stops[pieces - 1] = start
                if wanted <= 0:
                    left = 0  # long enough: whatever follows opens a window
    return pieces, windows


@bare_kernel
def _tile(runs: Int64s, lengths: Int64s, offsets: Int64s) -> int:
    """Write the windows' offsets; return how many there are, -1 if the lengths do not suffice."""
    windows = 0
    offsets[0] = runs[0]
    for run in range(len(runs) - 1):
        start, stop = runs[run], runs[run + 1]
        while start < stop:
            if windows == len(lengths):
                return -1
            start = min(start + lengths[windows], stop)
            windows += 1
            offsets[windows] = start
    return windows
