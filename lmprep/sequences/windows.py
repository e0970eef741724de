"""Windows: text cut at the ends of sentences, as much of it as fits.

A window ends at the last sentence end that fits, unless the sentence that does not fit is longer
than a whole window: then it is filled. Such a sentence has to be cut anyway; it continues in the
next window. Nothing is lost.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lmprep.jit import kernel
from lmprep.sequences.outline import Outline
from lmprep.sequences.templates import Pieces


def cut_windows(outline: Outline, room: int, *, cross_documents: bool) -> Pieces:
    """Cut documents into windows of at most `room` tokens.

    Args:
        outline: the sentences and documents.
        room: tokens in a window; with `cross_documents` the one separator before each further
            document counts too.
        cross_documents: go on with the next document in the same window, as another piece; else
            a document's end always ends the window.
    """
    # A piece is the last of a sentence, fills a window on its own, or begins an overlong sentence.
    most = len(outline.ordinals) + 2 * (outline.tokens // room)
    starts, stops = np.empty(most, np.int64), np.empty(most, np.int64)
    first_pieces = np.empty(most + 1, np.int64)
    pieces, windows = _cut(
        outline.sentence_offsets,
        outline.document_offsets,
        room,
        cross_documents,
        starts,
        stops,
        first_pieces,
    )
    first_pieces[windows] = pieces
    return Pieces(
        starts=starts[:pieces].copy(),
        stops=stops[:pieces].copy(),
        row_offsets=first_pieces[: windows + 1].copy(),
    )


@kernel
def _cut(
    sentence_offsets: NDArray[np.int64],
    document_offsets: NDArray[np.int64],
    room: int,
    cross_documents: bool,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    first_pieces: NDArray[np.int64],
) -> tuple[int, int]:
    """Write the pieces and each window's first piece; return how many pieces and windows."""
    pieces, windows = 0, 0
    left = 0  # tokens that still fit in the open window
    for document in range(len(document_offsets) - 1):
        left = left - 1 if cross_documents else 0
        joined = False  # does the last piece belong to this document and an open window?
        for sentence in range(document_offsets[document], document_offsets[document + 1]):
            start, stop = sentence_offsets[sentence], sentence_offsets[sentence + 1]
            if stop - start > left:
                if stop - start > room and left > 0:
                    if not joined:
                        starts[pieces] = start
                        pieces += 1
                    start += left
                    stops[pieces - 1] = start
                while stop - start > room:
                    first_pieces[windows] = pieces
                    starts[pieces], stops[pieces] = start, start + room
                    pieces, windows, start = pieces + 1, windows + 1, start + room
                first_pieces[windows] = pieces
                windows, left, joined = windows + 1, room, False
            if not joined:
                starts[pieces] = start
                pieces, joined = pieces + 1, True
            stops[pieces - 1] = stop
            left -= stop - start
    return pieces, windows
