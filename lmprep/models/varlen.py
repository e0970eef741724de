"""Torch's attention over runs laid end to end, for CUDA devices in half precision.

T positions of the batch, N heads, H width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lmprep.models.inputs import Documents

if torch.cuda.is_available():  # it imports the whole compiler: a second of every command
    from torch.nn.attention.varlen import varlen_attn

_CAUSAL_WINDOW = (-1, 0)  # any number of keys before the query, none after it


def attend(
    heads_TNH: Sequence[Tensor], documents: Documents, *, causal: bool, scale: float
) -> Tensor:
    """Values by attention within each run: [T, N, H].

    Args:
        heads_TNH: queries, keys and values.
        documents: the runs.
        causal: whether positions look back only.
        scale: of the scores.
    """
    q_TNH, k_TNH, v_TNH = heads_TNH
    how: dict[str, Any] = {"window_size": _CAUSAL_WINDOW} if causal else {}
    offsets_S, longest = documents.offsets_S, documents.longest
    mixed_TNH = varlen_attn(
        q_TNH, k_TNH, v_TNH, offsets_S, offsets_S, longest, longest, scale=scale, **how
    )
    assert isinstance(mixed_TNH, Tensor)  # a pair where more is asked for
    return mixed_TNH
