"""Tokenizers as others publish them, our models inside: the stages around a model, varied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from tokenizers import AddedToken, Regex, Tokenizer, normalizers, processors
from tokenizers import pre_tokenizers as cut

# The split expressions of published byte-level vocabularies.
CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve"
    r"|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:"
    r"'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPACE = "▁"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A change of a tokenizer.

    Args:
        base: which of our own tokenizers.
        change: what is made of a copy of it.
    """

    base: str
    change: Callable[[Tokenizer], Tokenizer]


def staged(
    base: str,
    normalizer: normalizers.Normalizer | str | None = "keep",
    words: cut.PreTokenizer | str | None = "keep",
    end: processors.PostProcessor | None = None,
) -> Shape:
    """A shape with other stages around the model."""

    def change(tokenizer: Tokenizer) -> Tokenizer:
        if normalizer != "keep":
            tokenizer.normalizer = normalizer  # type: ignore[assignment]
        if words != "keep":
            tokenizer.pre_tokenizer = words  # type: ignore[assignment]
        if end is not None:
            tokenizer.post_processor = end
        return tokenizer

    return Shape(base=base, change=change)


def bert_shapes() -> dict[str, Shape]:
    """BertNormalizer, all its switches both ways, and other normalizers before BERT's words."""
    shapes = {}
    for clean, cjk, accents, lower in product((1, 0), (1, 0), (None, True, False), (1, 0)):
        normalizer = normalizers.BertNormalizer(
            clean_text=bool(clean),
            handle_chinese_chars=bool(cjk),
            strip_accents=accents,
            lowercase=bool(lower),
        )
        strip = {None: "-", True: "1", False: "0"}[accents]
        shapes[f"bert-{clean}{cjk}{strip}{lower}"] = staged("wordpiece-cased", normalizer)
    lowered = [normalizers.Strip(), normalizers.Lowercase(), normalizers.NFC()]
    digits = [cut.Whitespace(), cut.Digits(individual_digits=True)]
    marks = [cut.WhitespaceSplit(), cut.Punctuation("contiguous"), cut.Digits()]
    accents = [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
    return shapes | {
        "strip-lower-nfc": staged("wordpiece", normalizers.Sequence(lowered)),
        "whitespace-digits": staged("wordpiece-cased", None, cut.Sequence(digits)),
        "punctuation-digits": staged("wordpiece", normalizers.NFKC(), cut.Sequence(marks)),
        "nfd-stripaccents": staged("wordpiece", normalizers.Sequence(accents), cut.Whitespace()),
        "nfkd-lowercase": staged(
            "wordpiece", normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase()])
        ),
        "punctuation-alone": staged("wordpiece-cased", None, cut.Punctuation("merged_with_next")),
    }


def byte_shapes() -> dict[str, Shape]:
    """Byte-level vocabularies: GPT-2, RoBERTa, cl100k and Llama 3, Qwen 2, o200k, StarCoder."""
    bare = cut.ByteLevel(add_prefix_space=False, use_regex=False)
    digits = [cut.Digits(individual_digits=True), cut.ByteLevel(add_prefix_space=False)]
    split = {
        name: cut.Sequence([cut.Split(Regex(expression), "isolated"), bare])
        for name, expression in (("cl100k", CL100K), ("qwen2", QWEN2), ("o200k", O200K))
    }
    return {
        "byte-prefix": staged("byte-bpe", words=cut.ByteLevel(add_prefix_space=True)),
        "byte-no-regex": staged("byte-bpe", words=bare),
        "gpt2-trimmed": staged("byte-bpe", end=processors.ByteLevel(trim_offsets=True)),
        "roberta": Shape(base="byte-bpe", change=as_roberta),
        "byte-digits": staged("byte-bpe", words=cut.Sequence(digits)),
        "byte-nfkc": staged("byte-bpe", normalizers.NFKC()),
        "byte-lowercase": staged("byte-bpe", normalizers.Lowercase()),
        "cl100k-merges": staged("byte-bpe", words=split["cl100k"]),
        "qwen2": staged("byte-bpe", normalizers.NFC(), split["qwen2"]),
        "o200k": staged("byte-bpe", words=split["o200k"]),
    }


def as_roberta(tokenizer: Tokenizer) -> Tokenizer:
    """RoBERTa's end: its template, and offsets without the spaces."""
    end = ("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>"))
    tokenizer.pre_tokenizer = cut.ByteLevel(add_prefix_space=True)
    tokenizer.post_processor = processors.RobertaProcessing(end, end, trim_offsets=True)
    return tokenizer


def bpe_shapes() -> dict[str, Shape]:
    """Metaspace in all its forms, and what others do in its place."""
    shapes = {
        f"metaspace-{scheme}{'' if split else '-unsplit'}": staged(
            "bpe", words=cut.Metaspace(prepend_scheme=scheme, split=split)
        )
        for scheme in ("first", "never", "always")
        for split in (True, False)
    }
    prepend = [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
    doubled = [normalizers.NFC(), normalizers.Replace(Regex(" {2,}"), " ")]
    return shapes | {
        "metaspace-underscore": staged("bpe", words=cut.Metaspace(replacement="_")),
        "metaspace-nfd": staged("bpe", normalizers.NFD(), cut.Metaspace(prepend_scheme="first")),
        "metaspace-replace": staged("bpe", normalizers.Sequence(doubled)),
        "metaspace-bert": staged("bpe", normalizers.BertNormalizer()),
        "metaspace-digits": staged("bpe", words=cut.Sequence([cut.Metaspace(), cut.Digits()])),
        "prepend-replace": staged("bpe", normalizers.Sequence(prepend), None),
        "gemma": staged(
            "bpe", normalizers.Replace(" ", SPACE), cut.Split(" ", "merged_with_previous")
        ),
        "nothing": staged("bpe", None, None),
    }


def other_shapes() -> dict[str, Shape]:
    """Unigram as in ALBERT and XLNet, words, and tokens added to a vocabulary."""
    albert = [
        normalizers.Replace("``", '"'),
        normalizers.Replace("''", '"'),
        normalizers.NFKD(),
        normalizers.StripAccents(),
        normalizers.Lowercase(),
        normalizers.Replace(Regex(" {2,}"), " "),
    ]
    return {
        "albert": staged(
            "unigram",
            normalizers.Sequence(albert),
            cut.Sequence([cut.WhitespaceSplit(), cut.Metaspace()]),
        ),
        "unigram-first": staged("unigram", None, cut.Metaspace(prepend_scheme="first")),
        "unigram-unsplit": staged("unigram", None, cut.Metaspace(split=False)),
        "unigram-strip": staged("unigram", normalizers.Strip(right=False), cut.Metaspace()),
        "word-whitespace": staged("word", normalizers.Lowercase(), cut.WhitespaceSplit()),
        "word-scripts": staged(
            "word", None, cut.Sequence([cut.UnicodeScripts(), cut.WhitespaceSplit()])
        ),
        "added-wordpiece": Shape(base="wordpiece", change=add_tokens),
        "added-byte-bpe": Shape(base="byte-bpe", change=add_tokens),
        "added-unigram": Shape(base="unigram", change=add_tokens),
    }


def add_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """Tokens that are not special, in all the ways in which they may be found in a text."""
    tokenizer.add_tokens(
        [
            "of the",
            AddedToken("tokenization", single_word=True),
            AddedToken("<|im_start|>", lstrip=True, normalized=False),
            AddedToken("FAÇADE", rstrip=True, normalized=True),
            AddedToken("##s", single_word=False, lstrip=True, rstrip=True),
        ]
    )
    return tokenizer
