"""Learn a vocabulary: the table of algorithms, and what they share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from tokenizers import Tokenizer

from lmprep.settings import VocabSettings
from lmprep.tokenization.block_words import BlockWords
from lmprep.tokenization.bpe import learn_bpe
from lmprep.tokenization.counted_words import CountedWords, joined
from lmprep.tokenization.counts import WordCounts
from lmprep.tokenization.families import finish, front_tokens, pieces_that_fit
from lmprep.tokenization.likelihood import rehearse_merging
from lmprep.tokenization.pipelines import bare_tokenizer
from lmprep.tokenization.unigram import learn_unigram
from lmprep.tokenization.word_sum import add_up
from lmprep.tokenization.wordpiece import learn_wordpiece
from lmprep.tokenization.words import learn_words

logger = logging.getLogger("lmprep")

ALGORITHMS: dict[str, Callable[[WordCounts, VocabSettings, Tokenizer], dict[str, int]]] = {
    "wordpiece": learn_wordpiece,
    "bpe": learn_bpe,
    "byte-bpe": learn_bpe,
    "unigram": learn_unigram,
    "word": learn_words,
}


def word_finder(settings: VocabSettings) -> BlockWords:
    """What finds the words that a vocabulary of these settings is learnt from."""
    return BlockWords(bare_tokenizer(settings), front_tokens(settings))


@dataclass(frozen=True)
class Learnt:
    """A vocabulary, and what there is to say about how it came about.

    Args:
        tokenizer: of the size asked for, or less where the text gives no more.
        facts: what the algorithm found out by itself, for `training.json`: `min_pair_frequency` of
            the criterion likelihood, `threshold` of top-down.
    """

    tokenizer: Tokenizer
    facts: dict[str, int]


def learn(counted: WordCounts, settings: VocabSettings) -> Tokenizer:
    """Learn a tokenizer; the same text always gives the same one, byte for byte.

    Args:
        counted: the words of the text, as `word_finder` finds them and `add_up` adds them up.
        settings: algorithm, size, family.

    Returns:
        A tokenizer of `settings.size` ids, special tokens counted; of fewer, with a warning, where
        the text gives no more.

    Raises:
        ValueError: the size is too small for the alphabet of the text.
    """
    return learn_with_facts(counted, settings).tokenizer


def learn_with_facts(counted: WordCounts, settings: VocabSettings) -> Learnt:
    """As `learn`, with the facts."""
    pieces_that_fit(settings, 1)
    tokenizer = bare_tokenizer(settings)
    facts = ALGORITHMS[settings.algorithm](counted, settings, tokenizer)
    finish(tokenizer, settings)
    size = tokenizer.get_vocab_size()
    if size < settings.size:
        reason = (
            "no threshold comes closer"
            if settings.criterion == "top-down" and facts["threshold"] > 1
            else "more text would help"
        )
        logger.warning(
            "the text gives a vocabulary of %d only, not %d: %s", size, settings.size, reason
        )
    return Learnt(tokenizer, facts)


def rehearse(settings: VocabSettings) -> None:
    """Compile what adds up counts and learns from them, with few."""
    words = [f"{number:b}" for number in range(100)]
    counted = joined([CountedWords.of(words, range(1, 101))])  # arrays as a text's words have them
    learn(add_up([counted]), settings)


def rehearse_end(settings: VocabSettings) -> None:
    """Compile the last of it, where that takes long: a process that begins at this end is a help to
    one that begins at the other."""
    if settings.criterion == "likelihood":
        rehearse_merging()
