"""T5's relative positions (arXiv:1910.10683, section 2.1): a learned bias by distance and head.

N heads, Q queries, K keys.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

BUCKETS = 32
FARTHEST = 128


class RelativePositions(nn.Module):
    """One bias for each head and bucket of distances, shared by all layers of a stack.

    Args:
        heads: of attention.
        causal: whether queries see only what precedes them; then all buckets are for it.
    """

    def __init__(self, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.weight = nn.Parameter(torch.empty(BUCKETS, heads))

    def forward(self, queries: int, keys: int) -> Tensor:
        """Biases [N, Q, K] of the scores."""
        positions = torch.arange(max(queries, keys), device=self.weight.device)
        distances_QK = positions[:keys] - positions[:queries, None]
        return self.weight[relative_buckets(distances_QK, causal=self.causal)].permute(2, 0, 1)


def relative_buckets(distances: Tensor, *, causal: bool) -> Tensor:
    """The bucket of each distance, key position minus query position: int64, from 0 to 31.

    Of the buckets for one direction the first half holds one distance each, the second half ever
    wider ranges up to 128; all beyond fall into the last. Bidirectionally, keys after the query
    have the upper 16 buckets for themselves.

    Example:
        bidirectional: -1 -> 1, 0 -> 0, 1 -> 17, 8 -> 24, 200 -> 31; causal: -1 -> 1, -16 -> 16.
    """
    if causal:
        return _one_sided((-distances).clamp(min=0), BUCKETS)
    after = (distances > 0).long() * (BUCKETS // 2)
    return after + _one_sided(distances.abs(), BUCKETS // 2)


def _one_sided(distances: Tensor, buckets: int) -> Tensor:
    exact = buckets // 2
    # In single precision and in this order, as T5's code: other roundings move bucket borders.
    scaled = torch.log(distances.float() / exact) / math.log(FARTHEST / exact)
    wide = exact + (scaled * (buckets - exact)).clamp(min=0).long()
    return torch.where(distances < exact, distances, wide.clamp(max=buckets - 1))
