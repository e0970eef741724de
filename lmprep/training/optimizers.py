"""The optimizer: AdamW with decoupled weight decay (arXiv:1711.05101) on matrices only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lmprep.models.settings import ModelSettings
from lmprep.settings import PretrainSettings

_WIDE = 768
_LR, _LR_WIDE = 5e-4, 1e-4


def peak_learning_rate(settings: PretrainSettings, model: ModelSettings) -> float:
    """What the settings say, else 1e-4 for wide models (BERT's) and 5e-4 for small ones."""
    if settings.lr is not None:
        return settings.lr
    return _LR_WIDE if model.width >= _WIDE else _LR


def new_optimizer(model: nn.Module, settings: PretrainSettings) -> torch.optim.AdamW:
    """Fused AdamW in two groups: matrices and embeddings decay, biases and norms do not."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    # The loop sets the learning rate before every step.
    return torch.optim.AdamW(groups, lr=0.0, betas=(settings.beta1, settings.beta2), fused=True)


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    """The optimizer's state as `PARAMETER.exp_avg` and so on: what a checkpoint stores."""
    return {
        f"{name}.{part}": tensor
        for name, parameter in model.named_parameters()
        for part, tensor in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer_tensors(
    model: nn.Module, optimizer: torch.optim.AdamW, tensors: dict[str, Tensor]
) -> None:
    """The way back from `optimizer_tensors`."""
    for name, parameter in model.named_parameters():
        if f"{name}.step" not in tensors:
            continue  # it never had a gradient: the pair head's, without pairs
        state = {part: tensors[f"{name}.{part}"] for part in ("step", "exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = {k: v.to(parameter.device) for k, v in state.items()}
