"""WordPiece from the top down: words and what they begin and end with, down to what is frequent.

After the learner in TensorFlow Text, as its guide describes it. Every substring of a word is
counted. From the longest to the shortest, one that is left with a count of at least a threshold is
taken, and takes its count from all its prefixes. Then the words are cut by longest match into what
was taken, and only substrings that begin where a piece does are counted in the next round; there
are four. The threshold is the smallest with which the pieces are not more than wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmprep.tokenization.pairs import Int32s, Int64s
from lmprep.tokenization.substrings import Tree, frequent_substrings, split_points, tree_of

ROUNDS = 4
LONGEST_WORD = 50
"""Characters; nothing is learnt from longer words."""


@dataclass(frozen=True)
class Chosen:
    """Pieces beside the alphabet.

    Args:
        pieces: each as its symbols, with the count it was taken with.
        threshold: least count of a piece.
    """

    pieces: list[tuple[list[int], int]]
    threshold: int


def choose_substrings(
    symbols: Int32s, offsets: Int64s, counts: Int64s, alphabet: int, size: int
) -> Chosen:
    """Choose substrings of words, `size` pieces or somewhat fewer together with the alphabet.

    Args:
        symbols: int32 [P], all words one after another, in numbers below `alphabet`; all of a word
            that is left out are negative.
        offsets: int64 [W + 1], where each word begins.
        counts: int64 [W], how often each word occurs.
        alphabet: how many symbols there are; each is a piece, whatever its count.
        size: number of pieces that must not be exceeded, the alphabet counted.
    """
    tree = tree_of(symbols, offsets, LONGEST_WORD)
    by_place = np.repeat(counts, np.diff(offsets))
    nothing = int(by_place.sum()) + 1  # no substring is as frequent as that
    fits, too_small = nothing, 0
    while fits - too_small > 1:
        tried = (fits + too_small) // 2
        if alphabet + len(_taken(tree, offsets, by_place, tried)[0]) <= size:
            fits = tried
        else:
            too_small = tried
    nodes, taken = _taken(tree, offsets, by_place, fits)
    starts, lengths = tree.places[nodes].tolist(), tree.depths[nodes].tolist()
    pieces = [symbols[a : a + n].tolist() for a, n in zip(starts, lengths, strict=True)]
    return Chosen(list(zip(pieces, taken.tolist(), strict=True)), fits)


def _taken(tree: Tree, offsets: Int64s, counts: Int64s, threshold: int) -> tuple[Int64s, Int64s]:
    """The nodes that are taken, those of single symbols left out, and their counts."""
    starts = np.ones(len(counts), np.bool_)
    for _ in range(ROUNDS - 1):
        taken = frequent_substrings(tree, starts, counts, threshold)
        starts = split_points(tree, offsets, taken)
    taken = frequent_substrings(tree, starts, counts, threshold)
    nodes = np.flatnonzero((taken > 0) & (tree.depths > 1))
    return nodes, taken[nodes]
