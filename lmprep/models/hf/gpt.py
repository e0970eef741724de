"""Names in `OpenAIGPTLMHeadModel` and `GPT2LMHeadModel`, whose matrices are (input, output)."""

from __future__ import annotations

from lmprep.models.hf.renaming import Layout, layered, modules, whole
from lmprep.models.settings import ModelSettings

_MATRICES = {
    "decoder.blocks.{}.attention.qkv": "transformer.h.{}.attn.c_attn",
    "decoder.blocks.{}.attention.output": "transformer.h.{}.attn.c_proj",
    "decoder.blocks.{}.expand": "transformer.h.{}.mlp.c_fc",
    "decoder.blocks.{}.contract": "transformer.h.{}.mlp.c_proj",
}
_NORMS = {
    "decoder.blocks.{}.attention_norm": "transformer.h.{}.ln_1",
    "decoder.blocks.{}.feed_forward_norm": "transformer.h.{}.ln_2",
}


def gpt_layout(settings: ModelSettings) -> Layout:
    """Of `OpenAIGPTLMHeadModel`."""
    return _layout("transformer.tokens_embed", "transformer.positions_embed", {}, settings)


def gpt2_layout(settings: ModelSettings) -> Layout:
    """Of `GPT2LMHeadModel`."""
    final = {"decoder.final_norm": "transformer.ln_f"}
    return _layout("transformer.wte", "transformer.wpe", final, settings)


def _layout(tokens: str, positions: str, final: dict[str, str], settings: ModelSettings) -> Layout:
    tables = {
        "decoder.tokens.weight": f"{tokens}.weight",
        "decoder.positions.weight": f"{positions}.weight",
    }
    layer = [*modules(_MATRICES, transposed=True), *modules(_NORMS)]
    return Layout(
        prefix="transformer.",
        rules=(*whole(tables), *modules(final), *layered(layer, settings.layers)),
        stand_ins={f"{tokens}.weight": ("lm_head.weight",)},
    )
