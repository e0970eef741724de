from __future__ import annotations

import pytest
import torch
from torch import nn

from lmprep.models.construction import count_parameters, outline
from lmprep.models.settings import MODELS, ModelSettings, model_settings

# Vocabularies of the published models, in the families' order.
VOCABULARIES = {
    "bert": 30_522,
    "roberta": 50_265,
    "gpt": 40_478,
    "gpt2": 50_257,
    "t5": 32_128,
    "t5v1.1": 32_128,
    "bart": 50_265,
}


def settings_of(name: str) -> ModelSettings:
    return model_settings(name, vocabulary_size=VOCABULARIES[name.rpartition("-")[0]])


def counted(settings: ModelSettings) -> nn.Module:
    """What published figures count: of encoders the encoder with its pooler, without heads."""
    model = outline(settings)
    return model.encoder if settings.kind == "encoder" else model


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("bert-tiny", 4_385_920),
        ("bert-mini", 11_170_560),
        ("bert-small", 28_763_648),
        ("bert-base", 109_482_240),
        ("bert-large", 335_141_888),
        ("roberta-base", 124_645_632),
        ("roberta-large", 355_359_744),
        ("gpt-base", 116_534_784),
        ("gpt2-small", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("t5-small", 60_506_624),
        ("t5-base", 222_903_552),
        ("t5v1.1-small", 76_961_152),
        ("t5v1.1-base", 247_577_856),
        ("bart-base", 139_420_416),
        ("bart-large", 406_291_456),
    ],
)
def test_a_published_model_has_the_published_number_of_parameters(name: str, published: int):
    assert count_parameters(counted(settings_of(name))) == published


def hugging_face_model(name: str) -> nn.Module:
    """The same model in transformers, without memory for its weights."""
    transformers = pytest.importorskip("transformers")
    base = {"num_layers": 12, "d_model": 768, "num_heads": 12, "d_ff": 3072}
    bart = {"d_model": 768, "encoder_layers": 6, "decoder_layers": 6}
    bart |= {"encoder_attention_heads": 12, "decoder_attention_heads": 12}
    bart |= {"encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072}
    roberta = {"vocab_size": 50_265, "max_position_embeddings": 514, "type_vocab_size": 1}
    make, config = {
        "bert-base": (transformers.BertModel, transformers.BertConfig()),
        "roberta-base": (transformers.RobertaModel, transformers.RobertaConfig(**roberta)),
        "gpt-base": (transformers.OpenAIGPTLMHeadModel, transformers.OpenAIGPTConfig()),
        "gpt2-small": (transformers.GPT2LMHeadModel, transformers.GPT2Config()),
        "t5-small": (transformers.T5ForConditionalGeneration, transformers.T5Config()),
        "t5-base": (transformers.T5ForConditionalGeneration, transformers.T5Config(**base)),
        "bart-base": (
            transformers.BartForConditionalGeneration,
            transformers.BartConfig(**bart),
        ),
        "bart-large": (transformers.BartForConditionalGeneration, transformers.BartConfig()),
    }[name]
    with torch.device("meta"):
        return make(config)


@pytest.mark.parametrize(
    "name",
    [
        "bert-base",
        "roberta-base",
        "gpt-base",
        "gpt2-small",
        "t5-small",
        "t5-base",
        "bart-base",
        "bart-large",
    ],
)
def test_transformers_counts_as_many(name: str):
    expected = sum(parameter.numel() for parameter in hugging_face_model(name).parameters())

    assert count_parameters(counted(settings_of(name))) == expected


@pytest.mark.parametrize("name", MODELS)
def test_heads_are_64_wide(name: str):
    assert settings_of(name).head_width == 64


@pytest.mark.parametrize("family", VOCABULARIES)
def test_every_family_has_a_tiny_model_of_two_layers_and_width_128(family: str):
    settings = settings_of(f"{family}-tiny")

    assert (settings.layers, settings.width) == (2, 128)
    assert count_parameters(outline(settings)) < 10_000_000
