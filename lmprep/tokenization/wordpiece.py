"""WordPiece vocabularies by the frequency criterion: merges as in BPE, encoding by longest match.

What `tokenizers` calls training WordPiece, with every tie decided (`merges`), so that one text
gives one vocabulary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models

from lmprep.settings import VocabSettings
from lmprep.tokenization.alphabet import learn_alphabet, number_characters
from lmprep.tokenization.bpe import merge_pieces
from lmprep.tokenization.counts import WordCounts
from lmprep.tokenization.families import TABLE, front_tokens, pieces_that_fit, special_tokens
from lmprep.tokenization.merges import PairQueue
from lmprep.tokenization.pipelines import CONTINUES

LONGEST_WORD = 100
"""Characters; the model takes a longer word for unknown, so nothing is learnt from it either."""


def learn_wordpiece(counted: WordCounts, settings: VocabSettings, tokenizer: Tokenizer) -> None:
    """Give `tokenizer` a WordPiece model of `settings.size`, special tokens counted.

    Its pieces are the alphabet, each character that occurs inside a word as `##c`, and merges.
    """
    alphabet = learn_alphabet(counted, settings.size)
    symbols, continuing = _word_symbols(counted, alphabet)
    base = [chr(c) for c in alphabet] + [CONTINUES + chr(c) for c in continuing]
    size = pieces_that_fit(settings, len(base))
    queue = PairQueue(symbols, counted.characters()[1], counted.counts)
    pieces, _ = merge_pieces(queue, base, size, special_tokens(settings), CONTINUES)
    tokenizer.model = models.WordPiece(
        {token: i for i, token in enumerate((*front_tokens(settings), *pieces))},
        unk_token=TABLE[settings.family].roles["unk"],
        continuing_subword_prefix=CONTINUES,
        max_input_chars_per_word=LONGEST_WORD,
    )


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
