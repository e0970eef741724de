"""Attention masks, all of them: who may look at whom.

A mask is boolean and broadcasts against scores_BNQK: True where query Q attends to key K. None
means that everything attends to everything, which is the fastest.
"""

from __future__ import annotations

import torch
from torch import Tensor


def padding_mask(lengths_B: Tensor, length: int) -> Tensor:
    """Keys within each row's own tokens: bool [B, 1, 1, K].

    Args:
        lengths_B: tokens in each row, at least one (a row that attends to nothing has no softmax).
        length: of the padded rows.
    """
    return (torch.arange(length, device=lengths_B.device) < lengths_B[:, None])[:, None, None, :]
