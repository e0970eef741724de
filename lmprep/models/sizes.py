"""The named models: what the members of a family share, and their sizes.

No torch in here, so that a command line can list the names.
"""

from __future__ import annotations

from typing import Any

_GPT = {
    "kind": "decoder",
    "types": 0,
    "norm_epsilon": 1e-5,
    "embedding_norm": False,
    "activation": "gelu-tanh",
    "initialization": "normal",
}
_T5 = {
    "kind": "encoder-decoder",
    "types": 0,
    "norm": "rms",
    "norm_place": "pre",
    "norm_epsilon": 1e-6,
    "embedding_norm": False,
    "bias": False,
    "activation": "relu",
    "positions": "relative",
    "scaled_attention": False,
    "output": "tied-scaled",
    "full_dropout": True,
    "initialization": "t5",
}
# What differs from the defaults of ModelSettings, which are BERT's.
_FAMILIES: dict[str, dict[str, Any]] = {
    # arXiv:1810.04805.
    "bert": {},
    # arXiv:1907.11692 and fairseq's code: one token type, so none to tell apart; no pairs.
    "roberta": {
        "types": 1,
        "position_offset": 2,
        "norm_epsilon": 1e-5,
        "pooler": False,
        "initialization": "normal",
    },
    # arXiv:1909.11942 and its code, whose GELU is the approximation; version 2 dropped dropout.
    "albert": {
        "embedding_width": 128,
        "shared_layers": True,
        "activation": "gelu-tanh",
        "dropout": 0.0,
        "attention_dropout": 0.0,
    },
    # arXiv:1910.01108 and its code: BERT without token types and pooler.
    "distilbert": {"types": 0, "pooler": False, "initialization": "normal"},
    # arXiv:2003.10555 and its code: the discriminator's encoder, and the generators.
    "electra": {"pooler": False},
    # Radford et al. 2018.
    "gpt": _GPT,
    # Radford et al. 2019.
    "gpt2": _GPT | {"norm_place": "pre", "max_length": 1024, "initialization": "scaled-normal"},
    # arXiv:1910.10683; version 1.1 (arXiv:2002.05202) was pretrained without dropout.
    "t5": _T5,
    "t5v1.1": _T5
    | {
        "activation": "gated-gelu",
        "output": "separate",
        "dropout": 0.0,
        "attention_dropout": 0.0,
    },
    # arXiv:1910.13461 and fairseq's code.
    "bart": {
        "kind": "encoder-decoder",
        "types": 0,
        "position_offset": 2,
        "norm_epsilon": 1e-5,
        "max_length": 1024,
        "initialization": "normal",
    },
    # arXiv:1802.05365 and its code.
    "elmo": {"kind": "bi-lstm", "types": 0, "output": "separate", "initialization": "lstm"},
}

# Layers (of each stack), width, heads; then what does not follow from these.
Size = tuple[int, int, int, dict[str, int]]
_TINY: Size = (2, 128, 2, {})
_MINI: Size = (4, 256, 4, {})
_SMALL: Size = (4, 512, 8, {})
_BASE: Size = (12, 768, 12, {})
_LARGE: Size = (24, 1024, 16, {})
_SIZES: dict[str, dict[str, Size]] = {
    # The small ones as in arXiv:1908.08962.
    "bert": {"tiny": _TINY, "mini": _MINI, "small": _SMALL, "base": _BASE, "large": _LARGE},
    "roberta": {"tiny": _TINY, "mini": _MINI, "small": _SMALL, "base": _BASE, "large": _LARGE},
    "albert": {
        "tiny": (2, 128, 2, {"embedding_width": 64}),
        "mini": _MINI,
        "base": _BASE,
        "large": _LARGE,
        "xlarge": (24, 2048, 16, {}),
        "xxlarge": (12, 4096, 64, {}),
    },
    # Half of the layers of BERT's size of the same name.
    "distilbert": {
        "tiny": (1, 128, 2, {}),
        "mini": (2, 256, 4, {}),
        "base": (6, 768, 12, {}),
    },
    # Generators have a quarter (small) or a third (base) of the width, heads and inner width, but
    # the discriminator's embeddings, which the two share.
    "electra": {
        "tiny": (2, 128, 2, {"embedding_width": 64}),
        "tiny-generator": (2, 64, 1, {}),
        "mini": (4, 256, 4, {"embedding_width": 128}),
        "mini-generator": (4, 64, 1, {"embedding_width": 128}),
        "small": (12, 256, 4, {"embedding_width": 128}),
        "small-generator": (12, 64, 1, {"embedding_width": 128}),
        "base": _BASE,
        "base-generator": (12, 256, 4, {"embedding_width": 768}),
    },
    "gpt": {"tiny": _TINY, "mini": _MINI, "base": _BASE},
    "gpt2": {
        "tiny": _TINY,
        "mini": _MINI,
        "small": _BASE,
        "medium": _LARGE,
        "large": (36, 1280, 20, {}),
        "xl": (48, 1600, 25, {}),
    },
    "t5": {
        "tiny": _TINY,
        "mini": _MINI,
        "small": (6, 512, 8, {}),
        "base": _BASE,
        "large": _LARGE,
        "3b": (24, 1024, 32, {"head_width": 128, "feed_forward": 16_384}),
    },
    "t5v1.1": {
        "tiny": (2, 128, 2, {"feed_forward": 256}),
        "mini": (4, 256, 4, {"feed_forward": 512}),
        "small": (8, 512, 6, {"head_width": 64, "feed_forward": 1024}),
        "base": (12, 768, 12, {"feed_forward": 2048}),
        "large": (24, 1024, 16, {"feed_forward": 2816}),
    },
    "bart": {
        "tiny": _TINY,
        "mini": _MINI,
        "base": (6, 768, 12, {}),
        "large": (12, 1024, 16, {}),
    },
    # Heads are of no use here. The published small and original models; `tokens` is without
    # characters.
    "elmo": {
        "tiny": (2, 128, 2, {"filters": 4}),
        "tiny-tokens": (2, 128, 2, {}),
        "small": (2, 128, 2, {"feed_forward": 1024, "filters": 7}),
        "small-tokens": (2, 128, 2, {"feed_forward": 1024}),
        "base": (2, 512, 8, {"feed_forward": 4096, "filters": 7}),
        "base-tokens": (2, 512, 8, {"feed_forward": 4096}),
    },
}
MODELS = tuple(f"{family}-{size}" for family, sizes in _SIZES.items() for size in sizes)


def named_shape(name: str) -> dict[str, Any]:
    """The settings that a name of `MODELS` stands for, without the vocabulary's size."""
    family, _, size = name.partition("-")
    layers, width, heads, rest = _SIZES[family][size]
    return family_shape(family) | {"layers": layers, "width": width, "heads": heads} | rest


def family_shape(family: str) -> dict[str, Any]:
    """What the members of a family share, as far as it is not BERT's."""
    return dict(_FAMILIES[family])
