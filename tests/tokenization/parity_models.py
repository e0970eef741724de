"""Tokenizers as others publish them, part two: models with other settings, and T5's characters."""

from __future__ import annotations

import io
import json
from typing import Any

import sentencepiece
from parity_foreign import CL100K, SPACE, Shape, staged
from parity_random import random_text
from tokenization_examples import SENTENCES
from tokenizers import Regex, Tokenizer, models, normalizers, trainers
from tokenizers import pre_tokenizers as cut

UNREACHABLE = 300  # pieces that no merge leads to: only a model that ignores merges finds them

Spec = dict[str, Any]


def model_shapes() -> dict[str, Shape]:
    """Settings of models that our own vocabularies do not have."""
    return {
        "llama3": Shape(base="byte-bpe", change=as_llama3),
        "unmerged": Shape(base="byte-bpe", change=lambda t: with_model(t, merges=few_merges(t))),
        "llama2": Shape(base="bpe", change=as_llama2),
        "bpe-unfused": Shape(base="bpe", change=lambda t: with_model(t, fuse_unk=False)),
        "bpe-no-unk": Shape(base="bpe", change=lambda t: with_model(t, unk_token=None)),
        "short-words": Shape(
            base="wordpiece", change=lambda t: with_model(t, max_input_chars_per_word=7)
        ),
        "unigram-bytes": Shape(base="unigram", change=with_byte_pieces),
        "word-ends": Shape(base="wordpiece", change=lambda _: with_word_ends()),
    }


def t5_shapes() -> dict[str, Shape]:
    """T5 and mT5, whose characters sentencepiece maps, and XLM-R."""
    precompiled = normalizers.Precompiled(nmt_nfkc())
    collapse = normalizers.Replace(Regex(" {2,}"), SPACE)
    steps = [precompiled, normalizers.Strip(left=False, right=True), collapse]
    words = cut.Sequence([cut.WhitespaceSplit(), cut.Metaspace()])
    return {
        "t5": staged("unigram", normalizers.Sequence(steps), cut.Metaspace()),
        "t5-precompiled": staged("unigram", precompiled, cut.Metaspace()),
        "xlm-r": staged("unigram", precompiled, words),
    }


def with_model(tokenizer: Tokenizer, **changes: object) -> Tokenizer:
    """The same tokenizer, settings of its model changed."""
    spec = spec_of(tokenizer)
    return Tokenizer.from_str(json.dumps(spec | {"model": spec["model"] | changes}))


def spec_of(tokenizer: Tokenizer) -> Spec:
    """What stands in tokenizer.json."""
    spec: Spec = json.loads(tokenizer.to_str())
    return spec


def few_merges(tokenizer: Tokenizer) -> list[Any]:
    """The merges without the last ones."""
    merges: list[Any] = spec_of(tokenizer)["model"]["merges"]
    return merges[:-UNREACHABLE]


def as_llama3(tokenizer: Tokenizer) -> Tokenizer:
    """Words that are pieces as a whole are found without merges."""
    split = cut.Split(Regex(CL100K), "isolated")
    level = cut.ByteLevel(add_prefix_space=False, use_regex=False)
    changed = with_model(tokenizer, ignore_merges=True, merges=few_merges(tokenizer))
    changed.pre_tokenizer = cut.Sequence([split, level])
    return changed


def as_llama2(tokenizer: Tokenizer) -> Tokenizer:
    """Characters that are not known fall back to pieces for bytes."""
    vocabulary = spec_of(tokenizer)["model"]["vocab"]
    pieces = {f"<0x{value:02X}>": len(vocabulary) + value for value in range(256)}
    changed = with_model(tokenizer, vocab=vocabulary | pieces, byte_fallback=True, fuse_unk=True)
    changed.normalizer = None
    return changed


def with_byte_pieces(tokenizer: Tokenizer) -> Tokenizer:
    """The same for Unigram, whose added tokens move up."""
    spec = spec_of(tokenizer)
    size = len(spec["model"]["vocab"])
    for token in spec["added_tokens"]:
        token["id"] += 256 * (token["id"] >= size)
    spec["model"]["vocab"] += [[f"<0x{value:02X}>", -20.0] for value in range(256)]
    spec["model"]["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(spec))


def with_word_ends() -> Tokenizer:
    """GPT's first form: the last piece of a word is marked, and BERT's stages come before."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = cut.BertPreTokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=4000,
        special_tokens=["[UNK]", "[CLS]", "[SEP]"],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    texts = SENTENCES + [random_text(-1 - number) for number in range(300)]
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def nmt_nfkc() -> bytes:
    """The map of characters that sentencepiece puts into a model with its usual normalization."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c"]),
        model_writer=model,
        vocab_size=7,
        hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc",
        num_threads=1,
        minloglevel=2,
    )
    normalizer_spec = field_of(model.getvalue(), 3)
    return field_of(normalizer_spec, 2)


def field_of(message: bytes, wanted: int) -> bytes:
    """A field of a protobuf message in which it and all before it hold bytes."""
    at = 0
    while at < len(message):
        number, at = message[at] >> 3, at + 1
        length = shift = 0
        while True:
            byte, at = message[at], at + 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if number == wanted:
            return message[at : at + length]
        at += length
    raise ValueError(f"no field {wanted}")
