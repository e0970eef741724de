"""What the keys of config.json mean, for each of the model types of transformers that we read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Key = tuple[str, str, Any]
"""A key there, our setting, and the value there of a file without this key (None: ours)."""


@dataclass(frozen=True, kw_only=True)
class ModelType:
    """How a model type writes a shape down.

    Args:
        family: of ours that it is.
        reads_as: the class that has all heads that we know of.
        keys: a key may stand for several settings (written is the first), and a setting for
            several keys (which then agree).
        activations: names there -> ours; of several for one of ours the first is written.
        constants: keys with the only value that a model of ours has, which is what transformers
            takes for a file without them.
        tokens: keys of special tokens -> roles in a `Vocabulary`, or `start`.
        more_positions: rows of the position table that the key counts beside those we count.
    """

    family: str
    reads_as: str
    keys: tuple[Key, ...]
    activations: Mapping[str, str]
    constants: Mapping[str, Any]
    tokens: Mapping[str, str]
    more_positions: int = 0


_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu-tanh",
    "gelu_pytorch_tanh": "gelu-tanh",
    "relu": "relu",
}
_TIED = {"tie_word_embeddings": True}
_ENCODER_ONLY = _TIED | {"is_decoder": False, "add_cross_attention": False}
_ENDS = {"bos_token_id": "cls", "eos_token_id": "sep"}
_PAD = {"pad_token_id": "pad"}
_ENCODER_KEYS: tuple[Key, ...] = (
    ("vocab_size", "vocabulary_size", 30_522),
    ("hidden_size", "width", 768),
    ("num_hidden_layers", "layers", 12),
    ("num_attention_heads", "heads", 12),
    ("intermediate_size", "feed_forward", 3072),
    ("hidden_act", "activation", "gelu"),
    ("hidden_dropout_prob", "dropout", 0.1),
    ("attention_probs_dropout_prob", "attention_dropout", 0.1),
    ("max_position_embeddings", "max_length", 512),
    ("type_vocab_size", "types", 2),
    ("layer_norm_eps", "norm_epsilon", 1e-12),
)
_GPT_KEYS: tuple[Key, ...] = (
    ("n_embd", "width", 768),
    ("n_layer", "layers", 12),
    ("n_head", "heads", 12),
    ("resid_pdrop", "dropout", 0.1),
    ("embd_pdrop", "dropout", 0.1),
    ("attn_pdrop", "attention_dropout", 0.1),
    ("layer_norm_epsilon", "norm_epsilon", 1e-5),
)
_BART_KEYS: tuple[Key, ...] = tuple(
    key
    for stack in ("encoder", "decoder")
    for key in (
        (f"{stack}_layers", "layers", 12),
        (f"{stack}_attention_heads", "heads", 16),
        (f"{stack}_ffn_dim", "feed_forward", 4096),
    )
)


def _changed(keys: tuple[Key, ...], **defaults: Any) -> tuple[Key, ...]:
    """The keys with other defaults."""
    return tuple((key, ours, defaults.get(key, default)) for key, ours, default in keys)


MODEL_TYPES: dict[str, ModelType] = {
    "bert": ModelType(
        family="bert",
        reads_as="BertForPreTraining",
        keys=_ENCODER_KEYS,
        activations=_ACTIVATIONS,
        constants=_ENCODER_ONLY | {"position_embedding_type": "absolute"},
        tokens=_PAD,
    ),
    "roberta": ModelType(
        family="roberta",
        reads_as="RobertaForMaskedLM",
        keys=_changed(_ENCODER_KEYS, vocab_size=50_265),
        activations={"gelu": "gelu"},
        constants=_ENCODER_ONLY | {"position_embedding_type": "absolute", "pad_token_id": 1},
        tokens=_PAD | _ENDS,
        more_positions=2,
    ),
    "albert": ModelType(
        family="albert",
        reads_as="AlbertForPreTraining",
        keys=(
            *_changed(
                _ENCODER_KEYS,
                vocab_size=30_000,
                hidden_size=4096,
                num_attention_heads=64,
                intermediate_size=16_384,
                hidden_act="gelu_new",
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
            ),
            ("embedding_size", "embedding_width", 128),
        ),
        activations=_ACTIVATIONS,
        constants=_TIED | {"num_hidden_groups": 1, "inner_group_num": 1},
        tokens=_PAD | _ENDS,
    ),
    "distilbert": ModelType(
        family="distilbert",
        reads_as="DistilBertForMaskedLM",
        keys=(
            ("vocab_size", "vocabulary_size", 30_522),
            ("dim", "width", 768),
            ("n_layers", "layers", 6),
            ("n_heads", "heads", 12),
            ("hidden_dim", "feed_forward", 3072),
            ("activation", "activation", "gelu"),
            ("dropout", "dropout", 0.1),
            ("attention_dropout", "attention_dropout", 0.1),
            ("max_position_embeddings", "max_length", 512),
        ),
        activations=_ACTIVATIONS,
        constants=_TIED,
        tokens=_PAD,
    ),
    "electra": ModelType(
        family="electra",
        reads_as="ElectraForMaskedLM",
        keys=(
            *_changed(
                _ENCODER_KEYS, hidden_size=256, num_attention_heads=4, intermediate_size=1024
            ),
            ("embedding_size", "embedding_width", 128),
        ),
        activations={"gelu": "gelu"},
        constants=_ENCODER_ONLY,
        tokens=_PAD,
    ),
    "openai-gpt": ModelType(
        family="gpt",
        reads_as="OpenAIGPTLMHeadModel",
        keys=(
            ("vocab_size", "vocabulary_size", 40_478),
            ("n_positions", "max_length", 512),
            ("afn", "activation", "gelu"),
            *_GPT_KEYS,
        ),
        activations={"gelu": "gelu-tanh", "relu": "relu"},  # its "gelu" is the approximation
        constants=_TIED,
        tokens={"bos_token_id": "sep", "eos_token_id": "sep"},
    ),
    "gpt2": ModelType(
        family="gpt2",
        reads_as="GPT2LMHeadModel",
        keys=(
            ("vocab_size", "vocabulary_size", 50_257),
            ("n_positions", "max_length", 1024),
            ("n_inner", "feed_forward", None),
            ("activation_function", "activation", "gelu_new"),
            *_GPT_KEYS,
        ),
        activations=_ACTIVATIONS,
        constants=_TIED
        | {
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "add_cross_attention": False,
        },
        tokens={"bos_token_id": "sep", "eos_token_id": "sep"},
    ),
    "t5": ModelType(
        family="t5",
        reads_as="T5ForConditionalGeneration",
        keys=(
            ("vocab_size", "vocabulary_size", 32_128),
            ("d_model", "width", 512),
            ("d_kv", "head_width", 64),
            ("d_ff", "feed_forward", 2048),
            ("num_layers", "layers", 6),
            ("num_decoder_layers", "layers", None),
            ("num_heads", "heads", 8),
            ("feed_forward_proj", "activation", "relu"),
            ("dropout_rate", "dropout", 0.1),
            ("dropout_rate", "attention_dropout", 0.1),
            ("layer_norm_epsilon", "norm_epsilon", 1e-6),
        ),
        activations=_ACTIVATIONS | {"gated-gelu": "gated-gelu", "gated-silu": "gated-silu"},
        constants={"relative_attention_num_buckets": 32, "relative_attention_max_distance": 128},
        tokens=_PAD | {"eos_token_id": "sep", "decoder_start_token_id": "start"},
    ),
    "bart": ModelType(
        family="bart",
        reads_as="BartForConditionalGeneration",
        keys=(
            ("vocab_size", "vocabulary_size", 50_265),
            ("d_model", "width", 1024),
            *_BART_KEYS,
            ("activation_function", "activation", "gelu"),
            ("dropout", "dropout", 0.1),
            ("attention_dropout", "attention_dropout", 0.0),
            ("max_position_embeddings", "max_length", 1024),
        ),
        activations=_ACTIVATIONS,
        constants=_TIED
        | {
            "scale_embedding": False,
            # Of older files; other models of the same class had other values.
            "normalize_before": False,
            "normalize_embedding": True,
            "add_final_layer_norm": False,
            "static_position_embeddings": False,
        },
        tokens=_PAD | _ENDS | {"forced_eos_token_id": "sep", "decoder_start_token_id": "start"},
    ),
}
