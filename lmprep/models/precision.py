"""The dtype that matrix products compute in."""

from __future__ import annotations

import torch
from torch import Tensor


def computing_dtype(x: Tensor) -> torch.dtype:
    """Autocast's where it is on, else the tensor's own."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
