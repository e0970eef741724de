"""Our BERT's weights under the names of `transformers.BertForPreTraining`, and back.

Our fused query-key-value matrix is the concatenation of its three. What transformers stores twice
(tied embeddings, the decoder's bias) is stored once here and written twice there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lmprep.models.settings import ModelSettings

# Ours: theirs. `{}` is the number of the layer.
_ENCODER = {
    "encoder.tokens.weight": "bert.embeddings.word_embeddings.weight",
    "encoder.positions.weight": "bert.embeddings.position_embeddings.weight",
    "encoder.types.weight": "bert.embeddings.token_type_embeddings.weight",
    "encoder.norm": "bert.embeddings.LayerNorm",
    "encoder.pooler": "bert.pooler.dense",
    "masked_token_head.transform": "cls.predictions.transform.dense",
    "masked_token_head.norm": "cls.predictions.transform.LayerNorm",
    "masked_token_head.bias": "cls.predictions.bias",
    "pair_head": "cls.seq_relationship",
}
_LAYER = {
    "encoder.blocks.{}.attention.output": "bert.encoder.layer.{}.attention.output.dense",
    "encoder.blocks.{}.attention_norm": "bert.encoder.layer.{}.attention.output.LayerNorm",
    "encoder.blocks.{}.expand": "bert.encoder.layer.{}.intermediate.dense",
    "encoder.blocks.{}.contract": "bert.encoder.layer.{}.output.dense",
    "encoder.blocks.{}.feed_forward_norm": "bert.encoder.layer.{}.output.LayerNorm",
}
_FUSED = "encoder.blocks.{}.attention.qkv"
_SPLIT = tuple(
    f"bert.encoder.layer.{{}}.attention.self.{part}" for part in ("query", "key", "value")
)
_PARTS = (".weight", ".bias")
# Written twice by transformers.
_TIED = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


def from_hf(tensors: dict[str, Tensor], settings: ModelSettings) -> dict[str, Tensor]:
    """The state of `BertForPreTraining` under our names."""
    ours = {name: tensors[theirs] for name, theirs in _names(settings.layers).items()}
    for layer in range(settings.layers):
        for part in _PARTS:
            split = [tensors[name.format(layer) + part] for name in _SPLIT]
            ours[_FUSED.format(layer) + part] = torch.cat(split)
    return ours


def to_hf(tensors: dict[str, Tensor], settings: ModelSettings) -> dict[str, Tensor]:
    """Our state under the names of `BertForPreTraining`."""
    theirs = {name: tensors[ours] for ours, name in _names(settings.layers).items()}
    for layer in range(settings.layers):
        for part in _PARTS:
            chunks = tensors[_FUSED.format(layer) + part].chunk(len(_SPLIT))
            for name, chunk in zip(_SPLIT, chunks, strict=True):
                theirs[name.format(layer) + part] = chunk
    return theirs | {name: theirs[source] for name, source in _TIED.items()}


def _names(layers: int) -> dict[str, str]:
    """Every tensor that is the same on both sides: our name to theirs."""
    modules = dict(_ENCODER)
    for layer in range(layers):
        modules |= {ours.format(layer): theirs.format(layer) for ours, theirs in _LAYER.items()}
    names: dict[str, str] = {}
    for ours, theirs in modules.items():
        whole = ours.endswith((".weight", ".bias"))
        names |= {ours + part: theirs + part for part in ([""] if whole else _PARTS)}
    return names
