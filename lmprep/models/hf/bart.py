"""Names in `BartForConditionalGeneration`."""

from __future__ import annotations

from lmprep.models.hf.renaming import Layout, Names, layered, modules, whole
from lmprep.models.settings import ModelSettings

_TABLES = {
    "encoder.tokens.weight": "model.shared.weight",
    "encoder.positions.weight": "model.encoder.embed_positions.weight",
    "decoder.positions.weight": "model.decoder.embed_positions.weight",
}
_NORMS = {
    "encoder.norm": "model.encoder.layernorm_embedding",
    "decoder.norm": "model.decoder.layernorm_embedding",
}
_CROSS: Names = {
    "decoder.blocks.{}.cross_attention.query": "model.decoder.layers.{}.encoder_attn.q_proj",
    "decoder.blocks.{}.cross_attention.kv": (
        "model.decoder.layers.{}.encoder_attn.k_proj",
        "model.decoder.layers.{}.encoder_attn.v_proj",
    ),
    "decoder.blocks.{}.cross_attention.output": "model.decoder.layers.{}.encoder_attn.out_proj",
    "decoder.blocks.{}.cross_attention_norm": "model.decoder.layers.{}.encoder_attn_layer_norm",
}
_COPIES = (
    "model.encoder.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
    "lm_head.weight",
)


def bart_layout(settings: ModelSettings) -> Layout:
    """Of `BartForConditionalGeneration`; the bias of its logits is never trained, and zero."""
    layer = _layer("encoder") | _layer("decoder") | _CROSS
    return Layout(
        prefix="model.",
        rules=(
            *whole(_TABLES),
            *modules(_NORMS),
            *layered(modules(layer), settings.layers),
        ),
        stand_ins={"model.shared.weight": _COPIES},
        zeros={"final_logits_bias": (1, settings.vocabulary_size)},
    )


def _layer(stack: str) -> Names:
    """Self-attention and feed-forward."""
    ours, theirs = f"{stack}.blocks.{{}}", f"model.{stack}.layers.{{}}"
    attention = f"{theirs}.self_attn"
    return {
        f"{ours}.attention.qkv": (
            f"{attention}.q_proj",
            f"{attention}.k_proj",
            f"{attention}.v_proj",
        ),
        f"{ours}.attention.output": f"{attention}.out_proj",
        f"{ours}.attention_norm": f"{theirs}.self_attn_layer_norm",
        f"{ours}.expand": f"{theirs}.fc1",
        f"{ours}.contract": f"{theirs}.fc2",
        f"{ours}.feed_forward_norm": f"{theirs}.final_layer_norm",
    }
