"""Templates: which special tokens stand where, and sequences laid out with them.

    bert     [CLS] A [SEP]    [CLS] A [SEP] B [SEP]
    roberta  <s> A </s>       <s> A </s> </s> B </s>

A sequence is laid out from *pieces*, runs of tokens that stood together in the text: one for a
window of a document, one for each document of a packed window, two for a pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Tokens
from lmprep.jit import kernel
from lmprep.vocabulary import Vocabulary

_PAIR_SEPARATORS = {"bert": 1, "roberta": 2}


@dataclass(frozen=True, kw_only=True)
class Template:
    """The special tokens around and between the pieces of a sequence.

    Args:
        cls: id of the token that opens a sequence.
        sep: id of the token that closes a piece.
        pair_separators: how many of it stand between the two segments of a pair.
    """

    cls: int
    sep: int
    pair_separators: int

    @property
    def single_specials(self) -> int:
        """Special tokens around one piece."""
        return 2

    @property
    def pair_specials(self) -> int:
        """Special tokens around and between two segments."""
        return 2 + self.pair_separators


def template_of(vocabulary: Vocabulary) -> Template:
    """The template of the vocabulary's family."""
    separators = _PAIR_SEPARATORS.get(vocabulary.family)
    if separators is None:
        raise ValueError(
            f"family {vocabulary.family} has no template for masked sequences and pairs; "
            f"a vocabulary of family {' or '.join(_PAIR_SEPARATORS)} has"
        )
    if vocabulary.cls is None or vocabulary.sep is None:
        missing = "cls" if vocabulary.cls is None else "sep"
        raise ValueError(f"this vocabulary of family {vocabulary.family} has no {missing} token")
    return Template(cls=vocabulary.cls, sep=vocabulary.sep, pair_separators=separators)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pieces:
    """The text of N sequences, as P runs of tokens.

    Args:
        starts, stops: int64 [P], piece p is tokens starts[p] to stops[p] - 1, never empty.
        row_offsets: int64 [N + 1], into the pieces; every sequence has at least one.
    """

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    row_offsets: NDArray[np.int64]

    @property
    def first(self) -> NDArray[np.int64]:
        """Index of the first token of each sequence's text, int64 [N]."""
        return self.starts[self.row_offsets[:-1]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """Sequences with their special tokens: the token columns of `Sequences`.

    `piece_positions`, int64 [P], says where in its sequence each piece begins.
    """

    ids: NDArray[np.int32]
    word_start: NDArray[np.bool_]
    maskable: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    piece_positions: NDArray[np.int64]


def lay_out(tokens: Tokens, pieces: Pieces, template: Template, separators: int) -> Layout:
    """Write the special tokens around the pieces, `separators` of them between two.

    The first token of a piece counts as the start of a word, wherever the text was cut: words
    never join across a special token.
    """
    before, after = _specials(pieces, separators)
    lengths = pieces.stops - pieces.starts
    ends = np.cumsum(before + lengths + after)
    places = ends - after - lengths
    offsets = np.append(0, ends)[pieces.row_offsets]
    total = int(offsets[-1])
    ids = np.full(total, template.sep, np.int32)
    ids[offsets[:-1]] = template.cls
    word_start, maskable = np.ones(total, np.bool_), np.zeros(total, np.bool_)
    _copy(tokens.ids, pieces.starts, pieces.stops, places, ids)
    _copy(tokens.word_start, pieces.starts, pieces.stops, places, word_start)
    word_start[places] = True
    _fill(places, lengths, maskable)
    return Layout(
        ids=ids,
        word_start=word_start,
        maskable=maskable,
        offsets=offsets,
        piece_positions=places - np.repeat(offsets[:-1], np.diff(pieces.row_offsets)),
    )


def _specials(pieces: Pieces, separators: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many special tokens stand before and after each piece, int64 [P] each."""
    before = np.full(len(pieces.starts), separators, np.int64)
    before[pieces.row_offsets[:-1]] = 1
    after = np.zeros(len(pieces.starts), np.int64)
    after[pieces.row_offsets[1:] - 1] = 1
    return before, after


@kernel
def _copy(
    values: NDArray[np.generic],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    places: NDArray[np.int64],
    out: NDArray[np.generic],
) -> None:
    """Copy piece p, values[starts[p]:stops[p]], to places[p] and on."""
    for p in range(len(starts)):
        shift = places[p] - starts[p]
        for i in range(starts[p], stops[p]):
            out[i + shift] = values[i]


@kernel
def _fill(places: NDArray[np.int64], lengths: NDArray[np.int64], out: NDArray[np.bool_]) -> None:
    for p in range(len(places)):
        for i in range(places[p], places[p] + lengths[p]):
            out[i] = True
