"""Unigram vocabularies (Kudo, arXiv:1804.10959): pieces with log probabilities, by sentencepiece.

One thread, always: with another number of threads sentencepiece sums in another order, and the
scores differ.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models

from lmprep.settings import VocabSettings
from lmprep.tokenization.alphabet import learn_alphabet, number_characters
from lmprep.tokenization.counts import WordCounts
from lmprep.tokenization.families import TABLE, front_tokens, pieces_that_fit, special_tokens

# What sentencepiece reserves for itself: ends of sentences, fields and lines, unknown characters.
_RESERVED = "\0\t\n\r\u2585"
_UNKNOWN = "\u2585"

MOST_OCCURRENCES = 1 << 21
"""Occurrences of words that sentencepiece learns from: it takes some 110 bytes of memory for each,
so the counts of more are scaled down."""


def learn_unigram(
    counted: WordCounts, settings: VocabSettings, tokenizer: Tokenizer
) -> dict[str, int]:
    """Give `tokenizer` a Unigram model of `settings.size`, special tokens counted.

    Every character of the alphabet is a piece; a run of other characters is one unknown token.

    Returns:
        `occurrences_scaled_to`, if there are more than `MOST_OCCURRENCES`.
    """
    alphabet = learn_alphabet(counted, settings.size, excluded=_RESERVED)
    size = pieces_that_fit(settings, len(alphabet))
    known = number_characters(counted.characters()[0], alphabet) >= 0
    parts = _known_parts(counted, known, special_tokens(settings))
    pieces = [(token, 0.0) for token in front_tokens(settings)] + _train(parts, size)
    unknown = front_tokens(settings).index(TABLE[settings.family].roles["unk"])
    tokenizer.model = models.Unigram(pieces, unk_id=unknown, byte_fallback=False)
    return _scaling(counted)


def _known_parts(
    counted: WordCounts, known: NDArray[np.bool_], special: tuple[str, ...]
) -> Iterator[str]:
    """Words with their counts as sentencepiece reads them, without what must not be in a piece.

    Args:
        counted: the words.
        known: bool [P], which of all the words' characters are in the alphabet.
        special: special tokens, that must not be learnt from text that looks like them.
    """
    looks_special = re.compile("|".join(re.escape(token) for token in special))
    flags = known.tobytes()
    start = 0
    for word, count in zip(counted.words, scaled_counts(counted).tolist(), strict=True):
        stop = start + len(word)
        if not all(flags[start:stop]):
            word = "".join(c if k else " " for c, k in zip(word, flags[start:stop], strict=True))
        yield from (f"{part}\t{count}" for part in looks_special.sub(" ", word).split(" ") if part)
        start = stop


def scaled_counts(counted: WordCounts) -> NDArray[np.int64]:
    """The counts, in proportion so that they sum up to about `MOST_OCCURRENCES`, at least 1 each.

    int64 [W]; the counts themselves if they are no more.
    """
    total = int(counted.counts.sum())
    if total <= MOST_OCCURRENCES:
        return counted.counts
    scaled: NDArray[np.float64] = np.rint(counted.counts * (MOST_OCCURRENCES / total))
    return scaled.clip(1).astype(np.int64)


def _scaling(counted: WordCounts) -> dict[str, int]:
    scaled = int(scaled_counts(counted).sum())
    return {"occurrences_scaled_to": scaled} if scaled < counted.counts.sum() else {}


def _train(words: Iterator[str], size: int) -> list[tuple[str, float]]:
    """`size` pieces with their scores, or fewer where the words give no more."""
    import sentencepiece  # heavy, and needed here alone

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=words,
        input_format="tsv",
        model_writer=model,
        model_type="unigram",
        vocab_size=size + 1,  # with its unknown piece
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        max_sentence_length=2**30,
        unk_piece=_UNKNOWN,
        bos_id=-1,
        eos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    learnt = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [(learnt.id_to_piece(i), learnt.get_score(i)) for i in range(1, len(learnt))]
