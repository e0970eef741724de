"""Flex attention: runs of positions, with biases by distance, in one compiled CUDA kernel.

B rows, L positions, N heads, H width of a head, D = 2 * L - 1 distances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from lmprep.models.inputs import Documents
from lmprep.models.masks import run_numbers

__all__ = ["BlockMask", "attend", "block_mask"]


def block_mask(documents: Documents, rows: int, length: int, *, causal: bool) -> BlockMask:
    """Which blocks of queries and keys have cells at all.

    Args:
        documents: the runs.
        rows, length: B and L.
        causal: whether positions look back only.
    """
    runs_BL = run_numbers(documents, rows, length)

    def seen(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        same = runs_BL[row, query] == runs_BL[row, key]
        return same & (key <= query) if causal else same

    make = _quick(create_block_mask, runs_BL)
    mask: BlockMask = make(seen, rows, None, length, length, runs_BL.device)
    return mask


def attend(
    heads_BNLH: Sequence[Tensor], bias_ND: Tensor, mask: BlockMask, *, scale: float
) -> Tensor:
    """Values by attention within each run: [B, N, L, H].

    Args:
        heads_BNLH: queries, keys and values.
        bias_ND: added to scores, by key position minus query position, from 1 - L.
        mask: of the runs.
        scale: of the scores.
    """
    q_BNLH, k_BNLH, v_BNLH = heads_BNLH
    last = q_BNLH.shape[2] - 1

    def biased(score: Tensor, row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return score + bias_ND[head, key - query + last]

    mixed_BNLH: Tensor = _quick(flex_attention, q_BNLH)(
        q_BNLH, k_BNLH, v_BNLH, score_mod=biased, block_mask=mask, scale=scale
    )
    return mixed_BNLH


def _quick(function: Callable[..., Any], like: Tensor) -> Callable[..., Any]:
    """Compiled on CUDA: without, both build the whole square."""
    return _compiled(function) if like.device.type == "cuda" else function


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function)
