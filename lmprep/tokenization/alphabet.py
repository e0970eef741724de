"""The characters a vocabulary knows: the most frequent ones, chosen so that no tie is left open."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from lmprep.tokenization.counts import WordCounts

logger = logging.getLogger("lmprep")

FEWEST_KEPT = 1000
"""Characters that are always kept: enough for every alphabet (BERT's code keeps no more)."""

COVERAGE = 0.9995
"""Scripts of thousands of characters get more, up to this share of the text (SentencePiece's)."""

LARGEST_SHARE = 1 / 4
"""... but for this share of the vocabulary at most, so that there is room for words."""

_CODE_POINTS = 0x110000


def learn_alphabet(
    counted: WordCounts, vocabulary_size: int, *, excluded: str = ""
) -> NDArray[np.uint32]:
    """The most frequent characters, equals by code point; reports what is left out.

    Args:
        counted: the words.
        vocabulary_size: of the vocabulary that is learnt.
        excluded: characters that cannot be in the alphabet.

    Returns:
        Code points, ascending: uint32 [A].
    """
    codes, offsets = counted.characters()
    totals = np.zeros(_CODE_POINTS, np.int64)
    np.add.at(totals, codes, np.repeat(counted.counts, np.diff(offsets)))
    seen = np.flatnonzero(totals)
    allowed = seen[~np.isin(seen, [ord(c) for c in excluded])]
    by_count = np.lexsort((allowed, -totals[allowed]))
    covered = np.cumsum(totals[allowed[by_count]])
    needed = int(np.searchsorted(covered, COVERAGE * totals.sum())) + 1
    limit = max(FEWEST_KEPT, min(needed, int(LARGEST_SHARE * vocabulary_size)))
    alphabet = np.sort(allowed[by_count[:limit]])
    if len(alphabet) < len(seen):
        occurrences = totals.sum() - totals[alphabet].sum()
        logger.warning(
            "%d rare characters (%d occurrences, %.4f%% of the text) are left out and will be "
            "unknown",
            len(seen) - len(alphabet),
            occurrences,
            100 * occurrences / totals.sum(),
        )
    return alphabet.astype(np.uint32)


def number_characters(codes: NDArray[np.uint32], alphabet: NDArray[np.uint32]) -> NDArray[np.int32]:
    """Each code point's place in the alphabet, -1 where it has none: int32, shape of `codes`."""
    places = np.full(_CODE_POINTS, -1, np.int32)
    places[alphabet] = np.arange(len(alphabet), dtype=np.int32)
    return places[codes]
