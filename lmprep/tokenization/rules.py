"""Where a sentence may be cut so that each chunk is encoded as if it stood alone.

A tokenizer is normalizer, pre-tokenizer (text to words), model (each word on its own). The model
never looks beyond a word, so a place is safe when (1) the normalizer does not act across it,
(2) the pre-tokenizer cuts words there anyway, and (3) the words on either side come out the same
when the other side is missing. The rules, and why they hold:

BERT        Around words, as BertPreTokenizer cuts them. (1) The normalizers of `_BERT` work
    character by character, but for the order of marks within a word, which characters that mark is
    left to the library. (2, 3) The pre-tokenizer looks at one character at a time.
WHITESPACE  At each ASCII space, tab, line feed and carriage return, which belong to no chunk.
    (1) The normalizers of `_LOCAL` work character by character, or within a run of a starter and
    the marks after it; these four are starters that compose with nothing. (2, 3) The pre-tokenizers
    of `_SPLIT_AT_WHITESPACE` first cut at whitespace and drop it, without looking around; whatever
    follows in their sequence works inside one word. Other whitespace is left to the library:
    BertNormalizer deletes U+000B and joins its neighbours.
METASPACE   Before each U+0020. (1) as above, without the normalizers that may delete a character:
    a chunk must not vanish and yet get its prefix. (2) Metaspace turns spaces into U+2581 and
    starts a word at each. (3) A chunk that starts with a space gets no further prefix, whatever the
    prefix scheme; the first chunk is the start of the sentence and is treated as that.
BYTE_LEVEL  Around words, as GPT-2's expression cuts them (1) without a normalizer. (2, 3) `scan`
    follows the expression itself: it has no look-behind, and its only look-ahead stands after
    whitespace.
SENTENCE    Nowhere: anything else is encoded sentence by sentence.
"""

from __future__ import annotations

from tokenizers import Tokenizer

from lmprep.tokenization.components import Component, component
from lmprep.tokenization.pipelines import parts_special_text

BERT, WHITESPACE, METASPACE, BYTE_LEVEL, SENTENCE = range(5)

_COMPOSING = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase"}
_LOCAL = _COMPOSING | {"BertNormalizer", "StripAccents"}
_BERT = {"BertNormalizer", "Lowercase", "NFD", "StripAccents"}
_SPLIT_AT_WHITESPACE = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
_WITHIN_WORDS = _SPLIT_AT_WHITESPACE | {"Punctuation", "Digits", "Split"}


def cut_rule(tokenizer: Tokenizer) -> int:
    """The rule that is safe for this tokenizer, special tokens being read as text."""
    if _ordinary_added(tokenizer):
        return SENTENCE  # an added token is found before words are cut, and may hold spaces
    normalizers = {step["type"] for step in _normalizers(tokenizer)}
    words = _pre_tokenizers(tokenizer)
    if not words or not all(step["type"] in _WITHIN_WORDS for step in words[1:]):
        return SENTENCE
    if words[0]["type"] == "BertPreTokenizer" and len(words) == 1 and normalizers <= _BERT:
        return BERT
    if words[0]["type"] in _SPLIT_AT_WHITESPACE and normalizers <= _LOCAL:
        return WHITESPACE
    if words[0]["type"] == "Metaspace" and words[0]["split"] and normalizers <= _COMPOSING:
        return METASPACE if words[0]["replacement"] == "▁" else SENTENCE
    if words[0]["type"] == "ByteLevel" and not normalizers:
        as_gpt2 = words[0]["use_regex"] and not words[0]["add_prefix_space"]
        return BYTE_LEVEL if as_gpt2 and len(words) == 1 else SENTENCE
    return SENTENCE


def cut_components(tokenizer: Tokenizer) -> str:
    """The components that decide the rule, by name, for a message."""
    steps = _normalizers(tokenizer) + _pre_tokenizers(tokenizer)
    added = [repr(content) for content in _ordinary_added(tokenizer)]
    names = [step["type"] for step in steps] or ["no pre-tokenizer"]
    return ", ".join(names + [f"added token {token}" for token in added[:1]])


def every_word_begins_with_a_sign(tokenizer: Tokenizer) -> bool:
    """METASPACE: whether the first word of a sentence gets the sign for a space as all others do,
    and no step but that for text like special tokens cuts words further."""
    words = _pre_tokenizers(tokenizer)
    further = [step for step in words[1:] if not parts_special_text(step, tokenizer)]
    return bool(words[0]["prepend_scheme"] == "always" and not further)


def _ordinary_added(tokenizer: Tokenizer) -> list[str]:
    """The added tokens that are not special, by id."""
    added = sorted(tokenizer.get_added_tokens_decoder().items())
    return [token.content for _, token in added if not token.special]


def _normalizers(tokenizer: Tokenizer) -> list[Component]:
    return _steps(component(tokenizer, "normalizer"), "normalizers")


def _pre_tokenizers(tokenizer: Tokenizer) -> list[Component]:
    return _steps(component(tokenizer, "pre_tokenizer"), "pretokenizers")


def _steps(step: Component | None, key: str) -> list[Component]:
    """A normalizer or pre-tokenizer as a flat list of its steps."""
    if step is None:
        return []
    if step["type"] == "Sequence":
        return [inner for part in step[key] for inner in _steps(part, key)]
    return [step]
