"""Learn a vocabulary: the table of algorithms, and what they share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from tokenizers import Tokenizer

from lmprep.settings import VocabSettings
from lmprep.tokenization.bpe import learn_bpe
from lmprep.tokenization.counts import WordCounts, count_words
from lmprep.tokenization.families import finish, pieces_that_fit
from lmprep.tokenization.pipelines import bare_tokenizer
from lmprep.tokenization.unigram import learn_unigram
from lmprep.tokenization.wordpiece import learn_wordpiece
from lmprep.tokenization.words import learn_words

logger = logging.getLogger("lmprep")

ALGORITHMS: dict[str, Callable[[WordCounts, VocabSettings, Tokenizer], None]] = {
    "wordpiece": learn_wordpiece,
    "bpe": learn_bpe,
    "byte-bpe": learn_bpe,
    "unigram": learn_unigram,
    "word": learn_words,
}


def learn(texts: Iterable[list[str]], settings: VocabSettings) -> Tokenizer:
    """Learn a tokenizer from text; the same text always gives the same one, byte for byte.

    Args:
        texts: batches of sentences, read once; memory does not grow with their number.
        settings: algorithm, size, family.

    Returns:
        A tokenizer of `settings.size` ids, special tokens counted; of fewer, with a warning, where
        the text gives no more.

    Raises:
        ValueError: the text is empty, or the size is too small for its alphabet.
    """
    pieces_that_fit(settings, 1)  # before the long way through the text
    tokenizer = bare_tokenizer(settings)
    ALGORITHMS[settings.algorithm](count_words(texts, tokenizer), settings, tokenizer)
    finish(tokenizer, settings)
    size = tokenizer.get_vocab_size()
    if size < settings.size:
        logger.warning(
            "the text gives a vocabulary of %d only, not %d: more text would help",
            size,
            settings.size,
        )
    return tokenizer
