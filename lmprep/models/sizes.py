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
    # arXiv:1907.11692 and fairseq's code: one token type, so none to tell apart.
    "roberta": {
        "types": 1,
        "position_offset": 2,
        "norm_epsilon": 1e-5,
        "initialization": "normal",
    },
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
    "gpt": {"tiny": _TINY, "base": _BASE},
    "gpt2": {"tiny": _TINY, "mini": _MINI, "small": _BASE, "medium": _LARGE},
    "t5": {"tiny": _TINY, "mini": _MINI, "small": (6, 512, 8, {}), "base": _BASE},
    "t5v1.1": {
        "tiny": (2, 128, 2, {"feed_forward": 256}),
        "small": (8, 512, 6, {"head_width": 64, "feed_forward": 1024}),
        "base": (12, 768, 12, {"feed_forward": 2048}),
    },
    "bart": {"tiny": _TINY, "base": (6, 768, 12, {}), "large": (12, 1024, 16, {})},
}
MODELS = tuple(f"{family}-{size}" for family, sizes in _SIZES.items() for size in sizes)


def named_shape(name: str) -> dict[str, Any]:
    """The settings that a name of `MODELS` stands for, without the vocabulary's size."""
    family, _, size = name.rpartition("-")
    layers, width, heads, rest = _SIZES[family][size]
    return _FAMILIES[family] | {"layers": layers, "width": width, "heads": heads} | rest
