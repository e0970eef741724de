"""Positions without a table of their own: fixed sines, turned queries and keys, learned biases.

B rows, L positions, D width, N heads, H width of a head, C queries and keys (2) or these and the
values (3), Q queries, K keys.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

BUCKETS = 32
FARTHEST = 128
_BASE = 10_000.0


def sinusoids(length: int, width: int, device: torch.device | None = None) -> Tensor:
    """Fixed vectors of positions (arXiv:1706.03762, section 3.5): float32 [L, D].

    Sine and cosine of a frequency stand side by side, as in the paper and in DistilBERT, so that
    exported weights mean the same there; BART's and Marian's code puts all sines first.
    """
    angles_LF = _angles(torch.arange(length, device=device), width)
    return torch.stack((angles_LF.sin(), angles_LF.cos()), dim=-1).flatten(1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rotation:
    """Rotary positions (RoFormer, arXiv:2104.09864, section 3.2): queries and keys turned by their
    place, so that their products depend on distances.

    The two halves of a head's width hold the two sides of the pairs, where the paper has them side
    by side: the same up to the order of columns in the matrices that make queries and keys, and
    without strided copies.

    Args:
        cos_BLH, sin_BLH: float32; B is 1 where all rows are counted from 0.
    """

    cos_BLH: Tensor
    sin_BLH: Tensor

    def turned(self, x_BLCNH: Tensor) -> Tensor:
        """The same, queries and keys (the first two of C) turned."""
        cos, sin = (
            table.to(x_BLCNH.dtype)[:, :, None, None] for table in (self.cos_BLH, self.sin_BLH)
        )
        turning, rest = x_BLCNH[:, :, :2], x_BLCNH[:, :, 2:]
        first, second = turning.chunk(2, dim=-1)
        across = torch.cat((-second, first), dim=-1)
        return torch.cat((turning * cos + across * sin, rest), dim=2)


def rotation(positions_BL: Tensor, width: int) -> Rotation:
    """For positions, int [B or 1, L], and heads of this (even) width."""
    angles_BLF = _angles(positions_BL, width)
    angles_BLH = torch.cat((angles_BLF, angles_BLF), dim=-1)
    return Rotation(cos_BLH=angles_BLH.cos(), sin_BLH=angles_BLH.sin())


def _angles(positions: Tensor, width: int) -> Tensor:
    """Positions times 10000**(-2i / width), i = 0 .. width / 2 - 1: float32, one dimension more."""
    i = torch.arange(0, width, 2, device=positions.device)
    return positions[..., None].float() * _BASE ** (-i / width)


class RelativePositions(nn.Module):
    """T5's relative positions (arXiv:1910.10683, section 2.1): a learned bias by distance.

    One for each head and bucket of distances, shared by all layers of a stack.

    Args:
        heads: of attention.
        causal: whether queries see only what precedes them; then all buckets are for it.
    """

    def __init__(self, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.weight = nn.Parameter(torch.empty(BUCKETS, heads))

    def by_distance(self, length: int) -> Tensor:
        """Biases by key position minus query position, from 1 - length: [N, 2 * length - 1]."""
        distances = torch.arange(1 - length, length, device=self.weight.device)
        return self.weight.t()[:, relative_buckets(distances, causal=self.causal)]

    def forward(self, queries: int, keys: int) -> Tensor:
        """Biases [N, Q, K] of the scores."""
        length = max(queries, keys)
        # Row q of the square begins at distance -q: windows over the distances, from the last.
        square = self.by_distance(length).unfold(1, length, 1).flip(1)
        return square[:, :queries, :keys]


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
