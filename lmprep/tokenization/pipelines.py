"""What stands around the model: normalizer, pre-tokenizer and decoder of each algorithm."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, Unigram, WordLevel, WordPiece

from lmprep.settings import VocabSettings
from lmprep.tokenization.families import front_tokens

CONTINUES = "##"
"""WordPiece marks a piece that goes on with a word so."""
SPACE = "▁"
"""Metaspace writes a space so: U+2581."""


_MODELS = {
    "wordpiece": WordPiece, "word": WordLevel, "bpe": BPE, "byte-bpe": BPE, "unigram": Unigram,
}  # fmt: skip


def bare_tokenizer(settings: VocabSettings) -> Tokenizer:
    """A tokenizer for these settings with an empty model: it can normalize and cut into words."""
    tokenizer = Tokenizer(_MODELS[settings.algorithm]())
    if settings.algorithm in ("wordpiece", "word"):
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=not settings.cased)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece(prefix=CONTINUES)
    elif settings.algorithm == "byte-bpe":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE)
        tokenizer.decoder = decoders.Metaspace(replacement=SPACE)
    if settings.algorithm == "unigram":
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [tokenizer.pre_tokenizer, _part_special_text(front_tokens(settings))]
        )
    return tokenizer


def _part_special_text(special: tuple[str, ...]) -> pre_tokenizers.PreTokenizer:
    """Cut text that looks like one of the `special` tokens after its first character.

    A Unigram model matches any piece of its vocabulary, special tokens included: without this cut
    the text `</s>` would become the end token even when special tokens are to be read as text.
    """
    return pre_tokenizers.Split(Regex(_pattern(special)), behavior="isolated")


def _pattern(special: Sequence[str]) -> str:
    return "|".join(f"{re.escape(t[0])}(?={re.escape(t[1:])})" for t in special)


def parts_special_text(step: Mapping[str, Any], tokenizer: Tokenizer) -> bool:
    """Whether a step of a pre-tokenizer, as in its JSON form, is that of `_part_special_text`.

    It then cuts words only where one of the tokenizer's special tokens would begin.
    """
    if step["type"] != "Split" or step["behavior"] != "Isolated" or step["invert"]:
        return False
    added = sorted(tokenizer.get_added_tokens_decoder().items())
    special = [token.content for _, token in added if token.special]
    patterns = {_pattern(special[:count]) for count in range(1, len(special) + 1)}
    return step["pattern"].get("Regex") in patterns
