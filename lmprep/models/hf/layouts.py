"""Which class of transformers stores a model of ours, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from lmprep.models.hf.bart import bart_layout
from lmprep.models.hf.bert import bert_layout, roberta_layout
from lmprep.models.hf.gpt import gpt2_layout, gpt_layout
from lmprep.models.hf.renaming import Layout, read, write
from lmprep.models.hf.t5 import t5_layout
from lmprep.models.settings import ModelSettings

_LAYOUTS: dict[str, Callable[[ModelSettings], Layout]] = {
    "BertForPreTraining": bert_layout,
    "RobertaForMaskedLM": roberta_layout,
    "OpenAIGPTLMHeadModel": gpt_layout,
    "GPT2LMHeadModel": gpt2_layout,
    "T5ForConditionalGeneration": t5_layout,
    "BartForConditionalGeneration": bart_layout,
}

# Values that a class has no choice about: one, or a few.
Fixed = dict[str, tuple[Any, ...]]
_POST_NORM: Fixed = {
    "positions": ("learned",),
    "norm": ("layer",),
    "norm_place": ("post",),
    "embedding_norm": (True,),
    "bias": (True,),
    "activation": ("gelu", "gelu-tanh", "relu"),
    "scaled_attention": (True,),
    "output": ("tied",),
}
_ENCODER: Fixed = {"kind": ("encoder",)} | _POST_NORM
_DECODER: Fixed = {"kind": ("decoder",)} | _POST_NORM | {"embedding_norm": (False,), "types": (0,)}
_ENCODER_DECODER: Fixed = {"kind": ("encoder-decoder",), "types": (0,)}
_FIXED: dict[str, Fixed] = {
    "BertForPreTraining": _ENCODER | {"position_offset": (0,)},
    "RobertaForMaskedLM": _ENCODER | {"position_offset": (2,)},
    "OpenAIGPTLMHeadModel": _DECODER | {"position_offset": (0,)},
    "GPT2LMHeadModel": _DECODER | {"position_offset": (0,), "norm_place": ("pre",)},
    "T5ForConditionalGeneration": _ENCODER_DECODER
    | {
        "positions": ("relative",),
        "norm": ("rms",),
        "norm_place": ("pre",),
        "embedding_norm": (False,),
        "bias": (False,),
        "activation": ("relu", "gated-gelu"),
        "scaled_attention": (False,),
        "output": ("tied-scaled", "separate"),
    },
    "BartForConditionalGeneration": _ENCODER_DECODER | _POST_NORM | {"position_offset": (2,)},
}


def from_hf(tensors: Mapping[str, Tensor], settings: ModelSettings) -> dict[str, Tensor]:
    """The state of the class that fits the settings, under our names.

    What that class lacks is not in it: RoBERTa's pooler and pair head, a span-boundary head.

    Raises:
        ValueError: no class fits, or it holds something that a model of ours has not.
    """
    return read(tensors, _LAYOUTS[hf_class(settings)](settings))


def to_hf(tensors: Mapping[str, Tensor], settings: ModelSettings) -> dict[str, Tensor]:
    """Our state under the names of the class that fits the settings.

    Raises:
        ValueError: no class fits.
    """
    return write(tensors, _LAYOUTS[hf_class(settings)](settings))


def hf_class(settings: ModelSettings) -> str:
    """The name of the class of transformers that can be such a model.

    Raises:
        ValueError: there is none; the message says what the nearest ones have instead.
    """
    reasons = {name: _difference(settings, fixed) for name, fixed in _FIXED.items()}
    for name, reason in reasons.items():
        if reason is None:
            return name
    listed = "; ".join(f"{name} has {reason}" for name, reason in reasons.items())
    raise ValueError(f"no class of transformers is such a model: {listed}")


def _difference(settings: ModelSettings, fixed: Fixed) -> str | None:
    """The first setting that a class has otherwise."""
    if "relative" not in fixed["positions"]:  # only T5 chooses the width of a head
        fixed = fixed | {"head_width": (settings.width // settings.heads,)}
    for name, allowed in fixed.items():
        if (value := getattr(settings, name)) not in allowed:
            return f"{name} {' or '.join(map(repr, allowed))}, not {value!r}"
    return None
