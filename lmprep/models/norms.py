"""Normalisation of hidden states."""

from __future__ import annotations

from torch import nn

from lmprep.models.rms_norm import RMSNorm
from lmprep.models.settings import ModelSettings


def new_norm(settings: ModelSettings, width: int | None = None) -> nn.Module:
    """LayerNorm, or the root-mean-square norm without mean and bias (T5).

    Args:
        width: of what is normed; None is the model's.
    """
    width = settings.width if width is None else width
    if settings.norm == "rms":
        return RMSNorm(width, settings.norm_epsilon)
    return nn.LayerNorm(width, settings.norm_epsilon, bias=settings.bias)
