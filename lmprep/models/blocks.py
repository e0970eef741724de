"""The transformer block: self-attention and feed-forward, each added and then normalised.

B batch, L positions, D width, N heads, H width of a head, Q queries, K keys, F feed-forward.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmprep.models.dropout import DropoutKey, dropout
from lmprep.models.settings import ModelSettings

NORM_EPSILON = 1e-12  # BERT's

# Dropouts of a block; with the embeddings' own as site 0 they number every one of a model.
_ATTENTION, _AFTER_ATTENTION, _AFTER_FEED_FORWARD = 1, 2, 3
_SITES = 3


class Attention(nn.Module):
    """Multi-head self-attention with one matrix for queries, keys and values.

    Args:
        settings: of the model.
        layer: number of the block, from 0: fixes its dropout sites.
    """

    def __init__(self, settings: ModelSettings, layer: int) -> None:
        super().__init__()
        self.heads = settings.heads
        self.dropout = settings.attention_dropout
        self.site = _SITES * layer + _ATTENTION
        self.qkv = nn.Linear(settings.width, 3 * settings.width)
        self.output = nn.Linear(settings.width, settings.width)

    def forward(self, x_BLD: Tensor, mask: Tensor | None, key: DropoutKey | None) -> Tensor:
        """Mix positions: [B, L, D] to [B, L, D]."""
        batch, length, width = x_BLD.shape
        qkv = self.qkv(x_BLD).view(batch, length, 3, self.heads, width // self.heads)
        q_BNLH, k_BNLH, v_BNLH = qkv.permute(2, 0, 3, 1, 4)
        mixed_BNLH = self._mix(q_BNLH, k_BNLH, v_BNLH, mask, key)
        mixed: Tensor = self.output(mixed_BNLH.transpose(1, 2).reshape(batch, length, width))
        return mixed

    def _mix(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, key: DropoutKey | None
    ) -> Tensor:
        if key is None or self.dropout == 0:
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        if q.device.type != "cpu":
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=self.dropout)
        # On CPU torch has no fused attention with dropout either: the same, spelled out, with
        # our masks.
        scores_BNQK = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        if mask is not None:
            scores_BNQK = scores_BNQK.masked_fill(~mask, -torch.inf)
        return dropout(scores_BNQK.softmax(-1), self.dropout, key, self.site) @ v


class Block(nn.Module):
    """Attention and feed-forward with post-norm residuals and erf-GELU."""

    def __init__(self, settings: ModelSettings, layer: int) -> None:
        super().__init__()
        self.dropout = settings.dropout
        self.site = _SITES * layer
        self.attention = Attention(settings, layer)
        self.attention_norm = nn.LayerNorm(settings.width, NORM_EPSILON)
        self.expand = nn.Linear(settings.width, settings.feed_forward)
        self.contract = nn.Linear(settings.feed_forward, settings.width)
        self.feed_forward_norm = nn.LayerNorm(settings.width, NORM_EPSILON)

    def forward(self, x_BLD: Tensor, mask: Tensor | None, key: DropoutKey | None) -> Tensor:
        """One layer: [B, L, D] to [B, L, D]."""
        added_BLD = self.attention(x_BLD, mask, key)
        added_BLD = dropout(added_BLD, self.dropout, key, self.site + _AFTER_ATTENTION)
        x_BLD = self.attention_norm(x_BLD + added_BLD)
        added_BLD = self.contract(F.gelu(self.expand(x_BLD)))
        added_BLD = dropout(added_BLD, self.dropout, key, self.site + _AFTER_FEED_FORWARD)
        normed: Tensor = self.feed_forward_norm(x_BLD + added_BLD)
        return normed
