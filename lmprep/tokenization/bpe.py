"""BPE vocabularies: an alphabet and a ranked list of merges."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models
from tokenizers.pre_tokenizers import ByteLevel

from lmprep.settings import VocabSettings
from lmprep.tokenization.alphabet import learn_alphabet, number_characters
from lmprep.tokenization.counts import WordCounts
from lmprep.tokenization.families import TABLE, front_tokens, pieces_that_fit, special_tokens
from lmprep.tokenization.merges import merge_frequent, texts_of


def learn_bpe(counted: WordCounts, settings: VocabSettings, tokenizer: Tokenizer) -> dict[str, int]:
    """Give `tokenizer` a BPE model of `settings.size`, special tokens counted.

    Byte-level vocabularies know all 256 bytes and need no unknown token; the others know the
    characters of `learn_alphabet`, and a run of other characters is one unknown token.
    """
    byte_level = settings.algorithm == "byte-bpe"
    alphabet = _bytes_alphabet() if byte_level else learn_alphabet(counted, settings.size)
    characters = [chr(c) for c in alphabet]
    most = pieces_that_fit(settings, len(alphabet)) - len(alphabet)
    symbols = number_characters(counted.characters()[0], alphabet)
    offsets, counts = _without_special_text(counted, special_tokens(settings))
    keys = merge_frequent(symbols, offsets, counts, len(alphabet), most)
    texts = texts_of(keys, characters)
    merges = [(texts[key >> 32], texts[key & 0xFFFFFFFF]) for key in keys.tolist()]
    unknown = None if byte_level else TABLE[settings.family].roles["unk"]
    vocabulary = {t: i for i, t in enumerate((*front_tokens(settings), *texts))}
    tokenizer.model = models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=not byte_level)
    return {}


def _without_special_text(
    counted: WordCounts, special: tuple[str, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut words after the first character of text like a special token, so that none is learnt.

    Returns:
        Where each part begins in the words' characters, int64 [V + 1], and its count, int64 [V].
    """
    offsets = counted.characters()[1]
    starts = offsets[:-1] + np.arange(len(counted.words))  # with one separator between words
    pattern = re.compile("|".join(map(re.escape, special)))
    found = [match.start() for match in pattern.finditer("\n".join(counted.words))]
    word = np.searchsorted(starts, found, side="right") - 1
    cuts = np.array(found, np.int64) - word + 1
    return np.insert(offsets, word + 1, cuts), np.insert(counted.counts, word, counted.counts[word])


def _bytes_alphabet() -> NDArray[np.uint32]:
    """The 256 characters that stand for bytes, as code points, ascending."""
    return np.sort(np.array([ord(c) for c in ByteLevel.alphabet()], np.uint32))
