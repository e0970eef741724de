"""The characters a vocabulary knows: the most frequent ones, chosen so that no tie is left open."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from lmprep.tokenization.counts import WordCounts

logger = logging.getLogger("lmprep")

MOST_CHARACTERS = 1000
"""As BERT: enough for alphabets, and it keeps a vocabulary from filling up with rare signs."""

_CODE_POINTS = 0x110000


def learn_alphabet(
    counted: WordCounts, *, excluded: str = "", limit: int = MOST_CHARACTERS
) -> NDArray[np.uint32]:
    """The `limit` most frequent characters, equals by code point; reports what is left out.

    Args:
        counted: the words.
        excluded: characters that cannot be in the alphabet.
        limit: number of characters at most.

    Returns:
        Code points, ascending: uint32 [A].
    """
    codes, offsets = counted.characters()
    totals = np.zeros(_CODE_POINTS, np.int64)
    np.add.at(totals, codes, np.repeat(counted.counts, np.diff(offsets)))
    seen = np.flatnonzero(totals)
    allowed = seen[~np.isin(seen, [ord(c) for c in excluded])]
    by_count = np.lexsort((allowed, -totals[allowed]))
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
