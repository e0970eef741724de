"""Names in the classes of encoders: BERT's, RoBERTa's, ALBERT's, DistilBERT's, ELECTRA's.

They all store the same parts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lmprep.models.hf.renaming import Layout, Names, Rule, layered, modules, whole
from lmprep.models.settings import ModelSettings


@dataclass(frozen=True, kw_only=True)
class EncoderNames:
    """What the parts of an encoder are called.

    Args:
        prefix: of all but the heads.
        layer: the modules of layer `{}`, without the prefix.
        to_width: what leads from the embeddings' width to the model's, without the prefix; None
            where they never differ.
        types: whether there is a table of token types even for a model without them.
        transform, norm: of the head of masked tokens.
        decoder: of this head: the token embeddings again, and a bias.
        bias: the tensor that is this bias: the decoder's own, or one beside it.
        pairs: the pooler and the head of sentence pairs, prefix included.
    """

    prefix: str
    layer: Names
    to_width: str | None = None
    types: bool = True
    transform: str
    norm: str
    decoder: str
    bias: str
    pairs: tuple[Names, ...] = ()


_BERT_LAYER: Names = {
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
_ALBERT = "encoder.albert_layer_groups.0.albert_layers.{}"  # one group of one layer
_ALBERT_LAYER: Names = {
    "encoder.blocks.{}.attention.qkv": (
        f"{_ALBERT}.attention.query",
        f"{_ALBERT}.attention.key",
        f"{_ALBERT}.attention.value",
    ),
    "encoder.blocks.{}.attention.output": f"{_ALBERT}.attention.dense",
    "encoder.blocks.{}.attention_norm": f"{_ALBERT}.attention.LayerNorm",
    "encoder.blocks.{}.expand": f"{_ALBERT}.ffn",
    "encoder.blocks.{}.contract": f"{_ALBERT}.ffn_output",
    "encoder.blocks.{}.feed_forward_norm": f"{_ALBERT}.full_layer_layer_norm",
}
_DISTILBERT_LAYER: Names = {
    "encoder.blocks.{}.attention.qkv": (
        "transformer.layer.{}.attention.q_lin",
        "transformer.layer.{}.attention.k_lin",
        "transformer.layer.{}.attention.v_lin",
    ),
    "encoder.blocks.{}.attention.output": "transformer.layer.{}.attention.out_lin",
    "encoder.blocks.{}.attention_norm": "transformer.layer.{}.sa_layer_norm",
    "encoder.blocks.{}.expand": "transformer.layer.{}.ffn.lin1",
    "encoder.blocks.{}.contract": "transformer.layer.{}.ffn.lin2",
    "encoder.blocks.{}.feed_forward_norm": "transformer.layer.{}.output_layer_norm",
}

BERT = EncoderNames(
    prefix="bert",
    layer=_BERT_LAYER,
    transform="cls.predictions.transform.dense",
    norm="cls.predictions.transform.LayerNorm",
    decoder="cls.predictions.decoder",
    bias="cls.predictions.bias",
)
BERT_PAIRS = replace(
    BERT,
    pairs=({"encoder.pooler": "bert.pooler.dense"}, {"pair_head": "cls.seq_relationship"}),
)
ROBERTA = EncoderNames(
    prefix="roberta",
    layer=_BERT_LAYER,
    transform="lm_head.dense",
    norm="lm_head.layer_norm",
    decoder="lm_head.decoder",
    bias="lm_head.bias",
)
ALBERT = EncoderNames(
    prefix="albert",
    layer=_ALBERT_LAYER,
    to_width="encoder.embedding_hidden_mapping_in",
    transform="predictions.dense",
    norm="predictions.LayerNorm",
    decoder="predictions.decoder",
    bias="predictions.bias",
)
ALBERT_PAIRS = replace(
    ALBERT,
    pairs=({"encoder.pooler": "albert.pooler"}, {"pair_head": "sop_classifier.classifier"}),
)
DISTILBERT = EncoderNames(
    prefix="distilbert",
    layer=_DISTILBERT_LAYER,
    types=False,
    transform="vocab_transform",
    norm="vocab_layer_norm",
    decoder="vocab_projector",
    bias="vocab_projector.bias",
)
ELECTRA = EncoderNames(
    prefix="electra",
    layer=_BERT_LAYER,
    to_width="embeddings_project",
    transform="generator_predictions.dense",
    norm="generator_predictions.LayerNorm",
    decoder="generator_lm_head",
    bias="generator_lm_head.bias",
)


def encoder_layout(names: EncoderNames, settings: ModelSettings) -> Layout:
    """How such a class stores a model."""
    layer = {ours: _under(names.prefix, theirs) for ours, theirs in names.layer.items()}
    layers = 1 if settings.shared_layers else settings.layers
    embeddings, zeros = _embeddings(names, settings)
    head = {"masked_token_head.transform": names.transform, "masked_token_head.norm": names.norm}
    bias = whole({"masked_token_head.bias": names.bias})
    return Layout(
        prefix=f"{names.prefix}.",
        rules=(*embeddings, *layered(modules(layer), layers)),
        heads=((*modules(head), *bias), *(tuple(modules(part)) for part in names.pairs)),
        stand_ins={
            f"{names.prefix}.embeddings.word_embeddings.weight": (f"{names.decoder}.weight",),
            names.bias: (f"{names.decoder}.bias",),
        },
        zeros=zeros,
    )


def discriminator_layout(settings: ModelSettings) -> Layout:
    """How `ElectraForPreTraining` stores a discriminator."""
    head = {
        "replaced_token_head.transform": "discriminator_predictions.dense",
        "replaced_token_head.judge": "discriminator_predictions.dense_prediction",
    }
    layout = encoder_layout(ELECTRA, settings)
    return replace(layout, heads=(tuple(modules(head)),), stand_ins={})


def _embeddings(
    names: EncoderNames, settings: ModelSettings
) -> tuple[list[Rule], dict[str, tuple[int, ...]]]:
    """Rules for what comes before the first layer; and tables there that we do not have."""
    prefix = f"{names.prefix}.embeddings"
    # RoBERTa counts its positions from 2, the others from 0: rows before that have no meaning.
    skipped = 0 if names is ROBERTA else settings.position_offset
    types = f"{prefix}.token_type_embeddings.weight"
    rules = [
        *whole({"encoder.tokens.weight": f"{prefix}.word_embeddings.weight"}),
        Rule(
            ours="encoder.positions.weight",
            theirs=(f"{prefix}.position_embeddings.weight",),
            skipped=skipped,
        ),
        *modules({"encoder.norm": f"{prefix}.LayerNorm"}),
    ]
    if settings.factorised and names.to_width is not None:
        rules += modules({"encoder.to_width": f"{names.prefix}.{names.to_width}"})
    if settings.types:
        return rules + whole({"encoder.types.weight": types}), {}
    return rules, {types: (1, settings.embedding_width)} if names.types else {}


def _under(prefix: str, theirs: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{prefix}.{name}" for name in ([theirs] if isinstance(theirs, str) else theirs))
