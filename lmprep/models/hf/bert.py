"""Names in `BertForPreTraining` and `RobertaForMaskedLM`."""

from __future__ import annotations

from lmprep.models.hf.renaming import Layout, Names, Rule, layered, modules, whole
from lmprep.models.settings import ModelSettings

_LAYER: Names = {
    "encoder.blocks.{}.attention.qkv": (
        "encoder.layer.{}.attention.self.query",
        "encoder.layer.{}.attention.self.key",
        "encoder.layer.{}.attention.self.value",
    ),
    "encoder.blocks.{}.attention.output": "encoder.layer.{}.attention.output.dense",
    "encoder.blocks.{}.attention_norm": "encoder.layer.{}.attention.output.LayerNorm",
    "encoder.blocks.{}.expand": "encoder.layer.{}.intermediate.dense",
    "encoder.blocks.{}.contract": "encoder.layer.{}.output.dense",
    "encoder.blocks.{}.feed_forward_norm": "encoder.layer.{}.output.LayerNorm",
}
_BERT_HEADS = {
    "encoder.pooler": "bert.pooler.dense",
    "masked_token_head.transform": "cls.predictions.transform.dense",
    "masked_token_head.norm": "cls.predictions.transform.LayerNorm",
    "pair_head": "cls.seq_relationship",
}
_ROBERTA_HEAD = {
    "masked_token_head.transform": "lm_head.dense",
    "masked_token_head.norm": "lm_head.layer_norm",
}


def bert_layout(settings: ModelSettings) -> Layout:
    """Of `BertForPreTraining`."""
    bias = "cls.predictions.bias"
    return _layout("bert", bias, "cls.predictions.decoder", modules(_BERT_HEADS), settings)


def roberta_layout(settings: ModelSettings) -> Layout:
    """Of `RobertaForMaskedLM`, which has no pooler and no pair head."""
    return _layout("roberta", "lm_head.bias", "lm_head.decoder", modules(_ROBERTA_HEAD), settings)


def _layout(
    prefix: str, bias: str, decoder: str, heads: list[Rule], settings: ModelSettings
) -> Layout:
    embeddings = f"{prefix}.embeddings"
    tokens = f"{embeddings}.word_embeddings.weight"
    types = f"{embeddings}.token_type_embeddings.weight"
    tensors = {
        "encoder.tokens.weight": tokens,
        "encoder.positions.weight": f"{embeddings}.position_embeddings.weight",
        "masked_token_head.bias": bias,
    }
    if settings.types:
        tensors["encoder.types.weight"] = types
    layer = {ours: _prefixed(prefix, theirs) for ours, theirs in _LAYER.items()}
    norm = modules({"encoder.norm": f"{embeddings}.LayerNorm"})
    return Layout(
        rules=(*whole(tensors), *norm, *layered(modules(layer), settings.layers), *heads),
        copies={f"{decoder}.weight": tokens, f"{decoder}.bias": bias},
        zeros={} if settings.types else {types: (1, settings.width)},
    )


def _prefixed(prefix: str, theirs: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{prefix}.{name}" for name in ([theirs] if isinstance(theirs, str) else theirs))
