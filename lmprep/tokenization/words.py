"""Word vocabularies: the most frequent words, whole; every other word is unknown."""

from __future__ import annotations

from tokenizers import Tokenizer, models

from lmprep.settings import VocabSettings
from lmprep.tokenization.counts import WordCounts
from lmprep.tokenization.families import TABLE, front_tokens, pieces_that_fit, special_tokens


def learn_words(
    counted: WordCounts, settings: VocabSettings, tokenizer: Tokenizer
) -> dict[str, int]:
    """Give `tokenizer` the words that occur most often, equals by code points."""
    size = pieces_that_fit(settings, 1)
    reserved = special_tokens(settings)
    words = [w for w in counted.first(size + len(reserved)) if w not in reserved][:size]
    tokenizer.model = models.WordLevel(
        {word: i for i, word in enumerate((*front_tokens(settings), *words))},
        unk_token=TABLE[settings.family].roles["unk"],
    )
    return {}
