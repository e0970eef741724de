"""Names in `T5ForConditionalGeneration`, versions 1.0 and 1.1."""

from __future__ import annotations

from lmprep.models.hf.renaming import Layout, Names, layered, modules, whole
from lmprep.models.settings import ModelSettings

_TENSORS = {
    "encoder.tokens.weight": "shared.weight",
    "encoder.final_norm.weight": "encoder.final_layer_norm.weight",
    "decoder.final_norm.weight": "decoder.final_layer_norm.weight",
}
_CROSS: Names = {
    "decoder.blocks.{}.cross_attention.query": "decoder.block.{}.layer.1.EncDecAttention.q",
    "decoder.blocks.{}.cross_attention.kv": (
        "decoder.block.{}.layer.1.EncDecAttention.k",
        "decoder.block.{}.layer.1.EncDecAttention.v",
    ),
    "decoder.blocks.{}.cross_attention.output": "decoder.block.{}.layer.1.EncDecAttention.o",
    "decoder.blocks.{}.cross_attention_norm": "decoder.block.{}.layer.1.layer_norm",
}


def t5_layout(settings: ModelSettings) -> Layout:
    """Of `T5ForConditionalGeneration`."""
    tensors, copies = dict(_TENSORS), ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"]
    for stack in ("encoder", "decoder"):
        tensors[f"{stack}.relative_positions.weight"] = (
            f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        )
    stand_ins = {}
    if settings.output == "separate":
        tensors["next_token_head.weight"] = "lm_head.weight"
        stand_ins["lm_head.weight"] = ("shared.weight",)  # a file of two equal ones has one
    else:
        copies.append("lm_head.weight")
    gated = settings.activation.startswith("gated-")
    layer = _layer("encoder", 1, gated) | _layer("decoder", 2, gated) | _CROSS
    return Layout(
        rules=(*whole(tensors), *layered(modules(layer, ["weight"]), settings.layers)),
        stand_ins={"shared.weight": tuple(copies)} | stand_ins,
    )


def _layer(stack: str, last: int, gated: bool) -> Names:
    """Self-attention and feed-forward.

    Args:
        last: number of the feed-forward among the parts of a layer.
        gated: whether it has a gate: then `wi_0` is activated, `wi_1` is not.
    """
    ours = f"{stack}.blocks.{{}}"
    attention = f"{stack}.block.{{}}.layer.0.SelfAttention"
    feed_forward = f"{stack}.block.{{}}.layer.{last}"
    inner = f"{feed_forward}.DenseReluDense"
    names: Names = {
        f"{ours}.attention.qkv": (f"{attention}.q", f"{attention}.k", f"{attention}.v"),
        f"{ours}.attention.output": f"{attention}.o",
        f"{ours}.attention_norm": f"{stack}.block.{{}}.layer.0.layer_norm",
        f"{ours}.contract": f"{inner}.wo",
        f"{ours}.feed_forward_norm": f"{feed_forward}.layer_norm",
    }
    if gated:
        return names | {f"{ours}.gate": f"{inner}.wi_0", f"{ours}.expand": f"{inner}.wi_1"}
    return names | {f"{ours}.expand": f"{inner}.wi"}
