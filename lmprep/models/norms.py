"""Normalisation of hidden states."""

from __future__ import annotations

from torch import nn

from lmprep.models.settings import ModelSettings


def new_norm(settings: ModelSettings) -> nn.Module:
    """LayerNorm, or the root-mean-square norm without mean and bias (T5), over the width."""
    if settings.norm == "rms":
        return nn.RMSNorm(settings.width, settings.norm_epsilon)
    return nn.LayerNorm(settings.width, settings.norm_epsilon, bias=settings.bias)
