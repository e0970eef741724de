"""Which class of transformers a model of ours is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from lmprep.models.hf import encoders
from lmprep.models.hf.bart import bart_layout
from lmprep.models.hf.encoders import encoder_layout
from lmprep.models.hf.gpt import gpt2_layout, gpt_layout
from lmprep.models.hf.renaming import Layout
from lmprep.models.hf.t5 import t5_layout
from lmprep.models.settings import ModelSettings

Allowed = dict[str, tuple[Any, ...]]
"""Settings -> the values that a class has for them."""

_ROBERTA_PAD = 1


@dataclass(frozen=True, kw_only=True)
class HfClass:
    """A class of transformers.

    Args:
        model_type: that its config.json has.
        allowed: what it has no other choice about.
        derived: settings that it has no choice about because they follow from others.
        layout: how it stores a model.
        pairs: whether it has a pooler and a head for sentence pairs.
        pad: the only id of padding that it works with; None with any.
    """

    model_type: str
    allowed: Allowed
    derived: tuple[str, ...] = ("head_width",)
    layout: Callable[[ModelSettings], Layout]
    pairs: bool = False
    pad: int | None = None

    def differences(self, settings: ModelSettings) -> list[str]:
        """What the class has otherwise."""
        derived = {name: (_DERIVED[name](settings),) for name in self.derived}
        return [
            f"{name} {' or '.join(map(repr, values))}, not {value!r}"
            for name, values in (self.allowed | derived).items()
            if (value := getattr(settings, name)) not in values
        ]


_DERIVED: dict[str, Callable[[ModelSettings], int]] = {
    "head_width": lambda settings: settings.width // settings.heads,
    "feed_forward": lambda settings: 4 * settings.width,
}
_POST_NORM: Allowed = {
    "positions": ("learned",),
    "norm": ("layer",),
    "norm_place": ("post",),
    "embedding_norm": (True,),
    "factorised": (False,),
    "shared_layers": (False,),
    "bias": (True,),
    "activation": ("gelu", "gelu-tanh", "relu"),
    "scaled_attention": (True,),
    "output": ("tied",),
}
_ENCODER: Allowed = {"kind": ("encoder",), "has_generator": (False,)} | _POST_NORM
_ALBERT = _ENCODER | {"factorised": (True,), "shared_layers": (True,)}
_DECODER: Allowed = (
    {"kind": ("decoder",)}
    | _POST_NORM
    | {"embedding_norm": (False,), "types": (0,), "position_offset": (0,)}
)
_ENCODER_DECODER: Allowed = {"kind": ("encoder-decoder",), "types": (0,)}
_GELU: Allowed = {"activation": ("gelu",)}  # all that the heads of some classes have
_T5: Allowed = _ENCODER_DECODER | {
    "positions": ("relative",),
    "norm": ("rms",),
    "norm_place": ("pre",),
    "embedding_norm": (False,),
    "factorised": (False,),
    "shared_layers": (False,),
    "bias": (False,),
    "scaled_attention": (False,),
    "activation": ("gelu", "gelu-tanh", "relu", "gated-gelu", "gated-silu"),
    "output": ("tied-scaled", "separate"),
}


def _encoder(names: encoders.EncoderNames, allowed: Allowed, pad: int | None = None) -> HfClass:
    return HfClass(
        model_type=names.prefix,
        allowed=allowed,
        layout=partial(encoder_layout, names),
        pairs=bool(names.pairs),
        pad=pad,
    )


# Where several fit, the first one is it.
CLASSES: dict[str, HfClass] = {
    "RobertaForMaskedLM": _encoder(
        encoders.ROBERTA, _ENCODER | _GELU | {"position_offset": (2,)}, pad=_ROBERTA_PAD
    ),
    "DistilBertForMaskedLM": _encoder(
        encoders.DISTILBERT, _ENCODER | {"types": (0,), "norm_epsilon": (1e-12,)}
    ),
    "BertForPreTraining": _encoder(encoders.BERT_PAIRS, _ENCODER),
    "BertForMaskedLM": _encoder(encoders.BERT, _ENCODER),
    "AlbertForPreTraining": _encoder(encoders.ALBERT_PAIRS, _ALBERT),
    "AlbertForMaskedLM": _encoder(encoders.ALBERT, _ALBERT),
    "ElectraForMaskedLM": _encoder(
        encoders.ELECTRA, _ENCODER | _GELU | {"factorised": (True, False)}
    ),
    "ElectraForPreTraining": HfClass(
        model_type="electra",
        allowed=_ENCODER | {"factorised": (True, False), "has_generator": (True,)},
        layout=encoders.discriminator_layout,
    ),
    "OpenAIGPTLMHeadModel": HfClass(
        model_type="openai-gpt",
        allowed=_DECODER | {"activation": ("gelu-tanh", "relu")},
        derived=("head_width", "feed_forward"),
        layout=gpt_layout,
    ),
    "GPT2LMHeadModel": HfClass(
        model_type="gpt2", allowed=_DECODER | {"norm_place": ("pre",)}, layout=gpt2_layout
    ),
    "T5ForConditionalGeneration": HfClass(
        model_type="t5", allowed=_T5, derived=(), layout=t5_layout
    ),
    "BartForConditionalGeneration": HfClass(
        model_type="bart",
        allowed=_ENCODER_DECODER | _POST_NORM | {"position_offset": (2,), "norm_epsilon": (1e-5,)},
        layout=bart_layout,
    ),
}


def hf_class(settings: ModelSettings, *, pairs: bool = True, pad: int | None = None) -> str:
    """The name of the class of transformers that can be such a model.

    Args:
        pairs: whether the head of sentence pairs, if there is one, is worth keeping.
        pad: the id of padding, if there is one: RoBERTa's class numbers positions from it.

    Raises:
        ValueError: there is none; the message says what the nearest one has instead.
    """
    differences = {name: known.differences(settings) for name, known in CLASSES.items()}
    kept = pairs and settings.kind == "encoder" and settings.pooler
    for name, found in differences.items():
        known = CLASSES[name]
        pads = pad is None or known.pad in (None, pad)
        if not found and known.pairs == kept and pads:
            return name
    nearest = min(differences, key=lambda name: len(differences[name]))
    raise ValueError(
        f"no class of transformers is such a model; the nearest, {nearest}, has "
        + "; ".join(differences[nearest])
    )
