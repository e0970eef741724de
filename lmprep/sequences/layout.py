"""Layouts: which special tokens stand where, and sequences laid out with them.

    bert     [CLS] A [SEP]    [CLS] A [SEP] B [SEP]
    roberta  <s> A </s>       <s> A </s> </s> B </s>
    stream   A sep            of every family, for the documents of a stream

A sequence is laid out from *pieces*, runs of tokens that stood together in the text: one for a
window of a document, one for each document of a packed window, two for a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.batches import Sequences, Tokens
from lmprep.jit import bare_kernel
from lmprep.ragged import Ragged, copy_run, offsets_of
from lmprep.sequences.outline import Origin
from lmprep.vocabulary import Vocabulary

_PAIR_SEPARATORS = {"bert": 1, "roberta": 2}


@dataclass(frozen=True, kw_only=True)
class Template:
    """The special tokens around and between the pieces of a sequence.

    Args:
        cls: id of the token that opens a sequence; None where nothing does.
        sep: id of the token that closes a piece.
        pair_separators: how many of it stand between the two segments of a pair.
    """

    cls: int | None
    sep: int
    pair_separators: int

    @property
    def single_specials(self) -> int:
        """Special tokens around one piece."""
        return 1 if self.cls is None else 2

    @property
    def pair_specials(self) -> int:
        """Special tokens around and between two segments."""
        return self.single_specials + self.pair_separators


def template_of(vocabulary: Vocabulary) -> Template:
    """The template of the vocabulary's family."""
    separators = _PAIR_SEPARATORS.get(vocabulary.family)
    if separators is None:
        raise ValueError(
            f"family {vocabulary.family} has no template for masked sequences and pairs; "
            f"a vocabulary of family {' or '.join(_PAIR_SEPARATORS)} has"
        )
    return Template(
        cls=_required(vocabulary, "cls"),
        sep=_required(vocabulary, "sep"),
        pair_separators=separators,
    )


def stream_template(vocabulary: Vocabulary) -> Template:
    """Nothing before a document, the family's separator after it."""
    return Template(cls=None, sep=_required(vocabulary, "sep"), pair_separators=1)


def _required(vocabulary: Vocabulary, role: str) -> int:
    token: int | None = getattr(vocabulary, role)
    if token is None:
        raise ValueError(
            f"this vocabulary of family {vocabulary.family} has no {role} token; "
            f"one made by lmprep vocab --family {vocabulary.family} has"
        )
    return token


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

    def __len__(self) -> int:
        return len(self.row_offsets) - 1

    @property
    def first(self) -> NDArray[np.int64]:
        """Index of the first token of each sequence's text, int64 [N]."""
        return self.starts[self.row_offsets[:-1]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """Sequences with their special tokens: the token columns of `Sequences`.

    `places`, int64 [P], says where in `ids` each piece begins.
    """

    ids: NDArray[np.int32]
    word_start: NDArray[np.bool_]
    maskable: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    places: NDArray[np.int64]

    def sequences(self, origin: Origin, **columns: Any) -> Sequences:
        """The sequences, which come from `origin` and have these further columns."""
        document, sentence = origin
        return Sequences(
            ids=self.ids,
            word_start=self.word_start,
            maskable=self.maskable,
            offsets=self.offsets,
            document=document,
            first_sentence=sentence,
            **columns,
        )


def lay_out(tokens: Tokens, pieces: Pieces, template: Template, separators: int) -> Layout:
    """Write the special tokens around the pieces, `separators` of them between two.

    The first token of a piece counts as the start of a word, wherever the text was cut: words
    never join across a special token.
    """
    before, after = _specials(pieces, template, separators)
    lengths = pieces.stops - pieces.starts
    ends = np.cumsum(before + lengths + after)
    places = ends - after - lengths
    offsets = np.append(0, ends)[pieces.row_offsets]
    total = int(offsets[-1])
    ids = np.full(total, template.sep, np.int32)
    if template.cls is not None:
        ids[offsets[:-1]] = template.cls
    word_start, maskable = np.ones(total, np.bool_), np.zeros(total, np.bool_)
    _copy(tokens.ids, pieces.starts, pieces.stops, places, ids)
    _copy(tokens.word_start, pieces.starts, pieces.stops, places, word_start)
    word_start[places] = True
    _fill(places, lengths, maskable)
    return Layout(ids=ids, word_start=word_start, maskable=maskable, offsets=offsets, places=places)


def positions_in_rows(places: NDArray[np.int64], offsets: NDArray[np.int64]) -> Ragged:
    """Places in flat values as positions in their rows, those that begin a row left out.

    Args:
        places: int64 [M], rising, each within the rows.
        offsets: int64 [N + 1], of the rows; no row is empty.

    Returns:
        int32, ragged, N rows.
    """
    rows = np.searchsorted(offsets, places, side="right") - 1
    positions = places - offsets[rows]
    inner = positions > 0
    counts = np.bincount(rows[inner], minlength=len(offsets) - 1)
    return Ragged(positions[inner].astype(np.int32), offsets_of(counts))


def _specials(
    pieces: Pieces, template: Template, separators: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many special tokens stand before and after each piece, int64 [P] each."""
    before = np.full(len(pieces.starts), separators, np.int64)
    before[pieces.row_offsets[:-1]] = template.single_specials - 1
    after = np.zeros(len(pieces.starts), np.int64)
    after[pieces.row_offsets[1:] - 1] = 1
    return before, after


@bare_kernel
def _copy(
    values: NDArray[np.generic],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    places: NDArray[np.int64],
    out: NDArray[np.generic],
) -> None:
    """Copy piece p, values[starts[p]:stops[p]], to places[p] and on."""
    for p in range(len(starts)):
        copy_run(values, starts[p], stops[p], out, places[p])


@bare_kernel
def _fill(places: NDArray[np.int64], lengths: NDArray[np.int64], out: NDArray[np.bool_]) -> None:
    for p in range(len(places)):
        for i in range(places[p], places[p] + lengths[p]):
            out[i] = True
