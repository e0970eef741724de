"""Folders of tiny random models as transformers writes them, with tokenizers to go with them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
import transformers

from lmprep.tokenization import folder as tokenizer_folder
from tests.corpora import make_tokenizer, write_corpus

_ENCODER = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
    "max_position_embeddings": 64,
}  # fmt: skip
_GPT = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}
# The class that is saved, the family of its tokenizer, its shape.
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertForPreTraining", "bert", _ENCODER),
    "bert-bare": ("BertModel", "bert", _ENCODER),
    "roberta": (
        "RobertaForMaskedLM", "roberta",
        _ENCODER | {"max_position_embeddings": 66, "type_vocab_size": 1},
    ),
    "albert": ("AlbertForPreTraining", "bert", _ENCODER | {"embedding_size": 16}),
    "distilbert": (
        "DistilBertForMaskedLM", "bert",
        {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": 64},
    ),
    "electra": ("ElectraForMaskedLM", "bert", _ENCODER | {"embedding_size": 16}),
    "gpt2": ("GPT2LMHeadModel", "gpt2", _GPT),
    "openai-gpt": ("OpenAIGPTLMHeadModel", "gpt2", _GPT),
    "t5": (
        "T5ForConditionalGeneration", "t5",
        {"d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2},
    ),
    "bart": (
        "BartForConditionalGeneration", "roberta",
        {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
         "decoder_attention_heads": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
         "max_position_embeddings": 64},
    ),
}  # fmt: skip
ENCODERS = ("bert", "bert-bare", "roberta", "albert", "distilbert", "electra")
DECODERS = ("gpt2", "openai-gpt")
ENCODER_DECODERS = ("t5", "bart")


def hf_folder(name: str, folder: Path) -> Path:
    """A model of `MODELS`, its biases and norms at work, with its tokenizer."""
    class_name, family, shape = MODELS[name]
    corpus = write_corpus(folder.parent / f"{name}-corpus.txt", documents=20)
    tokenizer = make_tokenizer(corpus, folder.parent / f"{name}-tok", family=family)
    vocabulary = tokenizer_folder.load(tokenizer).vocabulary
    kind = getattr(transformers, class_name)
    tokens = {"pad_token_id": vocabulary.pad, "eos_token_id": vocabulary.sep}
    if name in ENCODER_DECODERS:
        tokens["decoder_start_token_id"] = vocabulary.pad if name == "t5" else vocabulary.sep
    config = kind.config_class(vocab_size=vocabulary.size, **shape, **tokens)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(folder)
    for path in tokenizer.iterdir():
        if path.name != "training.json":  # which only ours have
            shutil.copy(path, folder)
    return folder
