"""Models from settings: with fresh weights, or without memory for any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from lmprep.models.bi_lstm import BiLstmModel
from lmprep.models.decoder import DecoderModel
from lmprep.models.electra import ElectraModel
from lmprep.models.encoder import EncoderModel
from lmprep.models.encoder_decoder import EncoderDecoderModel
from lmprep.models.initialization import initialize
from lmprep.models.language_model import LanguageModel
from lmprep.models.padded_vocabulary import trimmed
from lmprep.models.settings import ModelSettings
from lmprep.models.stacks import Stack

_KINDS: dict[str, type[LanguageModel]] = {
    "encoder": EncoderModel,
    "decoder": DecoderModel,
    "encoder-decoder": EncoderDecoderModel,
    "bi-lstm": BiLstmModel,
}


def new_model(settings: ModelSettings, seed: int) -> LanguageModel:
    """A freshly initialised model on CPU; the same seed gives the same weights."""
    model = outline(settings).to_empty(device="cpu")
    initialize(model, settings, seed)
    return model


def outline(settings: ModelSettings) -> LanguageModel:
    """The model without memory for its weights: to count them, or to load them."""
    with torch.device("meta"), _Uninitialised():
        return (
            ElectraModel(settings) if settings.generator_width else _KINDS[settings.kind](settings)
        )


class _Uninitialised(TorchFunctionMode):
    """Modules are made without first values of their weights: to draw numbers for weights without
    memory imports torch's whole compiler, a second."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init" and kwargs:
            return kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def count_parameters(module: LanguageModel | Stack) -> int:
    """Parameters, each tied one once, without the rows that only fill the vocabulary up."""
    parameters = trimmed(dict(module.named_parameters()), module.settings)
    return sum(each.numel() for each in parameters.values() if each.is_floating_point())
