"""Multi-head attention, within a sequence and from a decoder to its encoder.

B rows, Q queries, K keys, L positions where they are the same, D width, N heads, H width of a
head.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmprep.models.dropout import Dropout, DropoutKey
from lmprep.models.masks import Mask
from lmprep.models.settings import ModelSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class Memory:
    """What a decoder knows of its encoder.

    Args:
        states_BKD: the encoder's last states.
        mask: which of them are tokens.
    """

    states_BKD: Tensor
    mask: Mask


class Attention(nn.Module):
    """What the two kinds share: scores, softmax, dropout of the weights, output matrix.

    Args:
        settings: of the model.
        sites: numbers for the dropouts.
    """

    def __init__(self, settings: ModelSettings, sites: Iterator[int]) -> None:
        super().__init__()
        self.heads = settings.heads
        self.inner_width = settings.heads * settings.head_width
        self.scale = settings.head_width**-0.5 if settings.scaled_attention else 1.0
        self.dropout = Dropout(settings.attention_dropout, sites)

    def _heads(self, x_BLI: Tensor, parts: int) -> tuple[Tensor, ...]:
        """The fused parts (queries, keys, values), each by heads: [B, N, L, H]."""
        batch, length, _ = x_BLI.shape
        head_width = self.inner_width // self.heads
        split = x_BLI.view(batch, length, parts, self.heads, head_width)
        return split.permute(2, 0, 3, 1, 4).unbind()

    def _mix(
        self, q_BNQH: Tensor, k_BNKH: Tensor, v_BNKH: Tensor, mask: Mask, key: DropoutKey | None
    ) -> Tensor:
        """Values by attention: [B, Q, N * H]."""
        if mask.allowed is not None and mask.allowed.is_floating_point():
            mask = Mask(allowed=mask.allowed.to(q_BNQH.dtype))
        probability = 0.0 if key is None else self.dropout.probability
        if probability and q_BNQH.device.type == "cpu":
            # On CPU torch has no fused attention with dropout either: the same, spelled out, with
            # our masks.
            weights_BNQK: Tensor = self.dropout(self._weights(q_BNQH, k_BNKH, mask), key)
            mixed = weights_BNQK @ v_BNKH
        else:
            mixed = F.scaled_dot_product_attention(
                q_BNQH,
                k_BNKH,
                v_BNKH,
                attn_mask=mask.allowed,
                is_causal=mask.causal,
                dropout_p=probability,
                scale=self.scale,
            )
        return mixed.transpose(1, 2).flatten(2)

    def _weights(self, q_BNQH: Tensor, k_BNKH: Tensor, mask: Mask) -> Tensor:
        scores_BNQK = (q_BNQH * self.scale) @ k_BNKH.transpose(-1, -2)
        if mask.allowed is not None and mask.allowed.is_floating_point():
            scores_BNQK = scores_BNQK + mask.allowed
        elif mask.allowed is not None or mask.causal:
            queries, keys = scores_BNQK.shape[-2:]
            cells = mask.cells(queries, keys, scores_BNQK.device)
            scores_BNQK = scores_BNQK.masked_fill(~cells, -torch.inf)
        return scores_BNQK.softmax(-1)


class SelfAttention(Attention):
    """Attention within a sequence, with one matrix for queries, keys and values."""

    def __init__(self, settings: ModelSettings, sites: Iterator[int]) -> None:
        super().__init__(settings, sites)
        self.qkv = nn.Linear(settings.width, 3 * self.inner_width, bias=settings.bias)
        self.output = nn.Linear(self.inner_width, settings.width, bias=settings.bias)

    def forward(self, x_BLD: Tensor, mask: Mask, key: DropoutKey | None) -> Tensor:
        """Mix positions: [B, L, D] to [B, L, D]."""
        q_BNLH, k_BNLH, v_BNLH = self._heads(self.qkv(x_BLD), 3)
        mixed: Tensor = self.output(self._mix(q_BNLH, k_BNLH, v_BNLH, mask, key))
        return mixed


class CrossAttention(Attention):
    """Attention from a decoder to its encoder, with one matrix for keys and values."""

    def __init__(self, settings: ModelSettings, sites: Iterator[int]) -> None:
        super().__init__(settings, sites)
        self.query = nn.Linear(settings.width, self.inner_width, bias=settings.bias)
        self.kv = nn.Linear(settings.width, 2 * self.inner_width, bias=settings.bias)
        self.output = nn.Linear(self.inner_width, settings.width, bias=settings.bias)

    def forward(self, x_BQD: Tensor, memory: Memory, key: DropoutKey | None) -> Tensor:
        """Bring in the encoder's states: [B, Q, D] to [B, Q, D]."""
        (q_BNQH,) = self._heads(self.query(x_BQD), 1)
        k_BNKH, v_BNKH = self._heads(self.kv(memory.states_BKD), 2)
        mixed: Tensor = self.output(self._mix(q_BNQH, k_BNKH, v_BNKH, memory.mask, key))
        return mixed
