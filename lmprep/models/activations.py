"""The non-linear functions of feed-forwards and heads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from lmprep.models.settings import ModelSettings

Activation = Callable[[Tensor], Tensor]

_GELU_TANH = partial(F.gelu, approximate="tanh")
_ACTIVATIONS: dict[str, tuple[Activation, bool]] = {
    "gelu": (F.gelu, False),
    "gelu-tanh": (_GELU_TANH, False),
    "relu": (F.relu, False),
    "gated-gelu": (_GELU_TANH, True),
    "gated-silu": (F.silu, True),
}


def activation(settings: ModelSettings) -> tuple[Activation, bool]:
    """The function, and whether it gates a second matrix; heads have no use for the gate."""
    return _ACTIVATIONS[settings.activation]
