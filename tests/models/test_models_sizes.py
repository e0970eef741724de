"""The named models are the published ones, to the parameter.

Published figures are those of the papers and model cards; some count heads, some do not, and the
papers round. The exact counts are those of transformers' classes in the published configurations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn

from lmprep.models.construction import count_parameters, outline
from lmprep.models.settings import MODELS, ModelSettings, model_settings

transformers = pytest.importorskip("transformers")


@dataclass(frozen=True, kw_only=True)
class Published:
    """A model as it was published.

    Args:
        millions: of parameters, as the paper or the model card has them.
        count: of parameters, in full.
        made: the class of transformers that counts so.
        config: what the published configuration has otherwise than the class's defaults.
    """

    millions: float
    count: int
    made: str
    config: dict[str, Any] = field(default_factory=dict)


def bert(layers: int, width: int, **more: Any) -> dict[str, Any]:
    return {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": width // 64,
        "intermediate_size": 4 * width,
    } | more


def gpt2(layers: int, width: int, heads: int) -> dict[str, Any]:
    return {"n_layer": layers, "n_embd": width, "n_head": heads}


def t5(layers: int, width: int, heads: int, inner: int, **more: Any) -> dict[str, Any]:
    return {"num_layers": layers, "d_model": width, "num_heads": heads, "d_ff": inner} | more


ROBERTA = {"vocab_size": 50_265, "max_position_embeddings": 514, "type_vocab_size": 1}
GATED = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
BART_BASE = {
    f"{stack}_{name}": value
    for stack in ("encoder", "decoder")
    for name, value in (("layers", 6), ("attention_heads", 12), ("ffn_dim", 3072))
}
SMALL = {"embedding_size": 128}
T5 = "T5ForConditionalGeneration"
PUBLISHED = {
    # arXiv:1908.08962, table 1.
    "bert-tiny": Published(millions=4.4, count=4_385_920, made="BertModel", config=bert(2, 128)),
    "bert-mini": Published(millions=11.3, count=11_170_560, made="BertModel", config=bert(4, 256)),
    "bert-small": Published(millions=29.1, count=28_763_648, made="BertModel", config=bert(4, 512)),
    "bert-base": Published(millions=110, count=109_482_240, made="BertModel"),
    # 340 in the paper.
    "bert-large": Published(
        millions=335, count=335_141_888, made="BertModel", config=bert(24, 1024)
    ),
    "roberta-base": Published(
        millions=125, count=124_697_433, made="RobertaForMaskedLM", config=ROBERTA
    ),
    "roberta-large": Published(
        millions=355,
        count=355_412_057,
        made="RobertaForMaskedLM",
        config=bert(24, 1024, **ROBERTA),
    ),
    # arXiv:1909.11942, table 1.
    "albert-base": Published(
        millions=12, count=11_683_584, made="AlbertModel", config=bert(12, 768)
    ),
    "albert-large": Published(
        millions=18, count=17_683_968, made="AlbertModel", config=bert(24, 1024)
    ),
    "albert-xlarge": Published(
        millions=60,
        count=58_724_864,
        made="AlbertModel",
        config=bert(24, 2048, num_attention_heads=16),
    ),
    # 235 in the paper, 223 in the model card.
    "albert-xxlarge": Published(millions=223, count=222_595_584, made="AlbertModel"),
    "distilbert-base": Published(millions=66, count=66_362_880, made="DistilBertModel"),
    # arXiv:2003.10555; of the generators it gives widths only.
    "electra-small": Published(
        millions=14, count=13_483_008, made="ElectraModel", config=bert(12, 256)
    ),
    "electra-small-generator": Published(
        millions=4.6, count=4_580_928, made="ElectraModel", config=bert(12, 64)
    ),
    "electra-base": Published(
        millions=110,
        count=108_891_648,
        made="ElectraModel",
        config=bert(12, 768, embedding_size=768),
    ),
    "electra-base-generator": Published(
        millions=33.5,
        count=33_511_168,
        made="ElectraModel",
        config=bert(12, 256, embedding_size=768),
    ),
    "gpt-base": Published(millions=117, count=116_534_784, made="OpenAIGPTLMHeadModel"),
    "gpt2-small": Published(millions=124, count=124_439_808, made="GPT2LMHeadModel"),
    "gpt2-medium": Published(
        millions=355, count=354_823_168, made="GPT2LMHeadModel", config=gpt2(24, 1024, 16)
    ),
    "gpt2-large": Published(
        millions=774, count=774_030_080, made="GPT2LMHeadModel", config=gpt2(36, 1280, 20)
    ),
    "gpt2-xl": Published(
        millions=1558, count=1_557_611_200, made="GPT2LMHeadModel", config=gpt2(48, 1600, 25)
    ),
    # arXiv:1910.10683, section 3.7.
    "t5-small": Published(millions=60, count=60_506_624, made=T5),
    "t5-base": Published(millions=220, count=222_903_552, made=T5, config=t5(12, 768, 12, 3072)),
    "t5-large": Published(millions=770, count=737_668_096, made=T5, config=t5(24, 1024, 16, 4096)),
    "t5-3b": Published(
        millions=2800, count=2_851_598_336, made=T5, config=t5(24, 1024, 32, 16_384, d_kv=128)
    ),
    "t5v1.1-small": Published(
        millions=77, count=76_961_152, made=T5, config=t5(8, 512, 6, 1024, **GATED)
    ),
    "t5v1.1-base": Published(
        millions=248, count=247_577_856, made=T5, config=t5(12, 768, 12, 2048, **GATED)
    ),
    "t5v1.1-large": Published(
        millions=783, count=783_150_080, made=T5, config=t5(24, 1024, 16, 2816, **GATED)
    ),
    "bart-base": Published(
        millions=139,
        count=139_420_416,
        made="BartForConditionalGeneration",
        config={"d_model": 768} | BART_BASE,
    ),
    "bart-large": Published(millions=406, count=406_291_456, made="BartForConditionalGeneration"),
}


def their_model(published: Published) -> nn.Module:
    """The same model in transformers, without memory for its weights."""
    made = getattr(transformers, published.made)
    with torch.device("meta"):
        model: nn.Module = made(made.config_class(**published.config))
    return model


def settings_of(name: str, vocabulary_size: int = 30_522) -> ModelSettings:
    return model_settings(name, vocabulary_size=vocabulary_size)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_has_the_published_number_of_parameters(name: str):
    published = PUBLISHED[name]
    theirs = their_model(published)
    model = outline(settings_of(name, theirs.config.vocab_size))
    bare = published.made.endswith("Model") and not published.made.endswith("LMHeadModel")
    count = count_parameters(model.encoder if bare else model)

    expected = sum(parameter.numel() for parameter in theirs.parameters())
    if model.settings.output == "separate":  # transformers ties the two until it sees two tensors
        expected += theirs.lm_head.weight.numel()
    assert count == expected == published.count
    assert count / 1e6 == pytest.approx(published.millions, rel=0.045)


@pytest.mark.parametrize("name", MODELS)
def test_heads_are_64_wide_but_for_two(name: str):
    assert settings_of(name).head_width == (128 if name in ("albert-xlarge", "t5-3b") else 64)


FAMILIES = dict.fromkeys(name.partition("-")[0] for name in MODELS)
TRANSFORMERS = [family for family in FAMILIES if family != "elmo"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_tiny_model_of_two_layers_and_width_128(family: str):
    settings = settings_of(f"{family}-tiny")

    assert (settings.layers, settings.width) == (1 if family == "distilbert" else 2, 128)
    assert count_parameters(outline(settings)) < 10_000_000


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_every_family_has_a_mini_model_of_four_layers_and_width_256(family: str):
    settings = settings_of(f"{family}-mini")

    assert (settings.layers, settings.width) == (2 if family == "distilbert" else 4, 256)


@pytest.mark.parametrize("size", ["tiny", "mini", "small", "base"])
def test_a_generator_shares_its_discriminators_embeddings(size: str):
    generator, discriminator = (
        settings_of(f"electra-{size}-generator"),
        settings_of(f"electra-{size}"),
    )

    assert generator.embedding_width == discriminator.embedding_width
    assert generator.layers == discriminator.layers
    assert generator.width < discriminator.width
