"""The rows that fill the vocabulary's tables up to a round number.

They are zero and stay zero: no id stands for them, and logits end before them, so that no gradient
ever reaches them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from lmprep.models.settings import ModelSettings

# Ends of the names of parameters with a row, or a value, for each token.
_BY_TOKEN = (
    "tokens.weight",
    "masked_token_head.bias",
    "next_token_head.weight",
    "next_token_head.bias",
    "span_boundary_head.bias",
)


def is_by_token(name: str) -> bool:
    """Whether a parameter of this name has a row, or a value, for each token."""
    return name.endswith(_BY_TOKEN)


def trimmed(tensors: Mapping[str, Tensor], settings: ModelSettings) -> dict[str, Tensor]:
    """A model's tensors without the rows that only fill up; what has none is the same tensor."""
    size = settings.vocabulary_size
    return {
        name: tensor[:size] if is_by_token(name) else tensor for name, tensor in tensors.items()
    }


def filled(tensors: Mapping[str, Tensor], settings: ModelSettings) -> dict[str, Tensor]:
    """Tensors with a row for each token, and with rows of zeros up to what the model has.

    Raises:
        ValueError: a table has another number of rows than the vocabulary.
    """
    return {
        name: _filled(name, tensor, settings) if is_by_token(name) else tensor
        for name, tensor in tensors.items()
    }


def _filled(name: str, tensor: Tensor, settings: ModelSettings) -> Tensor:
    rows, size = len(tensor), settings.vocabulary_size
    if rows != size:
        raise ValueError(f"{name} has {rows} rows, the model's vocabulary {size} tokens")
    more = settings.vocabulary_rows - size
    return F.pad(tensor, (*[0] * (2 * tensor.ndim - 1), more))
