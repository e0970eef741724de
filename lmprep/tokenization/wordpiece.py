"""WordPiece vocabularies: an alphabet, and the pieces that one of three criteria chooses.

Encoding takes the longest piece that fits, then the next, whatever the criterion. No text leads to
a special token: they all hold punctuation, and BERT's pre-tokenizer makes each such character a
word of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models

from lmprep.settings import VocabSettings
from lmprep.tokenization.alphabet import learn_alphabet, number_characters
from lmprep.tokenization.counts import WordCounts
from lmprep.tokenization.families import TABLE, front_tokens, pieces_that_fit
from lmprep.tokenization.likelihood import merge_likely
from lmprep.tokenization.merges import merge_frequent, texts_of
from lmprep.tokenization.pipelines import CONTINUES
from lmprep.tokenization.topdown import choose_substrings

LONGEST_WORD = 100
"""Characters; the model takes a longer word for unknown, so nothing is learnt from it either."""


class Spelling(NamedTuple):
    """Distinct words as symbols: a character that begins a word and one inside are different."""

    symbols: NDArray[np.int32]  # [P], all words one after another, places in `base`, or -1
    offsets: NDArray[np.int64]  # [W + 1], where each word begins
    counts: NDArray[np.int64]  # [W], how often each word occurs
    base: list[str]  # each symbol as a piece, those inside a word with CONTINUES


def learn_wordpiece(
    counted: WordCounts, settings: VocabSettings, tokenizer: Tokenizer
) -> dict[str, int]:
    """Give `tokenizer` a WordPiece model of `settings.size`, special tokens counted.

    Its pieces are the alphabet, each character that occurs inside a word as `##c`, and those that
    `settings.criterion` chooses.

    Returns:
        What the criterion found out: `min_pair_frequency` or `threshold`.
    """
    alphabet = learn_alphabet(counted, settings.size)
    symbols, continuing = _word_symbols(counted, alphabet)
    base = [chr(c) for c in alphabet] + [CONTINUES + chr(c) for c in continuing]
    spelling = Spelling(
        symbols=symbols,
        offsets=counted.characters()[1],
        counts=counted.counts,
        base=base,
    )
    size = pieces_that_fit(settings, len(base))
    pieces, facts = _CHOOSE[settings.criterion](spelling, size)
    tokenizer.model = models.WordPiece(
        {token: i for i, token in enumerate((*front_tokens(settings), *pieces))},
        unk_token=TABLE[settings.family].roles["unk"],
        continuing_subword_prefix=CONTINUES,
        max_input_chars_per_word=LONGEST_WORD,
    )
    return facts


def _by_frequency(words: Spelling, size: int) -> tuple[list[str], dict[str, int]]:
    """Merges as in BPE: what `tokenizers` calls training WordPiece, with every tie decided."""
    alphabet = len(words.base)
    merges = merge_frequent(words.symbols, words.offsets, words.counts, alphabet, size - alphabet)
    return texts_of(merges, words.base, CONTINUES), {}


def _by_likelihood(words: Spelling, size: int) -> tuple[list[str], dict[str, int]]:
    """Merges that raise the likelihood of the text the most."""
    alphabet = len(words.base)
    merges, least = merge_likely(
        words.symbols, words.offsets, words.counts, alphabet, size - alphabet
    )
    return texts_of(merges, words.base, CONTINUES), {"min_pair_frequency": least}


def _top_down(words: Spelling, size: int) -> tuple[list[str], dict[str, int]]:
    """Substrings of words that occur often enough, the longest first."""
    chosen = choose_substrings(words.symbols, words.offsets, words.counts, len(words.base), size)
    bare = [piece.removeprefix(CONTINUES) for piece in words.base]
    pieces = [
        (-count, words.base[symbols[0]] + "".join(bare[s] for s in symbols[1:]))
        for symbols, count in chosen.pieces
    ]
    pieces.sort()
    return words.base + [piece for _, piece in pieces], {"threshold": chosen.threshold}


_CHOOSE: dict[str, Callable[[Spelling, int], tuple[list[str], dict[str, int]]]] = {
    "frequency": _by_frequency,
    "likelihood": _by_likelihood,
    "top-down": _top_down,
}


def _word_symbols(
    counted: WordCounts, alphabet: NDArray[np.uint32]
) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
    """Each character as a symbol: 0..A-1 where it begins a word, A + place among those inside.

    Words that encoding makes unknown as a whole (too long, or with a character outside the
    alphabet) become -1 throughout.

    Returns:
        Symbols int32 [P], and the code points that occur inside words, ascending.
    """
    codes, offsets = counted.characters()
    lengths = np.diff(offsets)
    symbols = number_characters(codes, alphabet)
    unknown = np.logical_or.reduceat(symbols < 0, offsets[:-1]) | (lengths > LONGEST_WORD)
    symbols[np.repeat(unknown, lengths)] = -1
    inside = np.ones(len(codes), np.bool_)
    inside[offsets[:-1]] = False
    inside &= symbols >= 0
    continuing = np.unique(codes[inside])
    symbols[inside] = number_characters(codes[inside], continuing) + len(alphabet)
    return symbols, continuing
