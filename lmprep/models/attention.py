"""Multi-head attention, within a sequence and from a decoder to its encoder.

B rows, Q queries, K keys, L positions where they are the same, D width, N heads, H width of a
head, I width of all heads, C queries, keys and values, as many as one matrix makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from lmprep.models.dot_product import DotProduct, by_heads
from lmprep.models.dropout import Dropout, DropoutKey
from lmprep.models.masks import Mask
from lmprep.models.scopes import Scope
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
    """What the two kinds share: heads, scale, dropout of the weights.

    Args:
        settings: of the model.
        sites: numbers for the dropouts.
    """

    def __init__(self, settings: ModelSettings, sites: Iterator[int]) -> None:
        super().__init__()
        self.heads = settings.heads
        self.inner_width = settings.heads * settings.head_width
        self.dropout = Dropout(settings.attention_dropout, sites)
        scale = settings.head_width**-0.5 if settings.scaled_attention else 1.0
        self.product = DotProduct(scale=scale, dropout=self.dropout)

    def _parts(self, x_BLX: Tensor) -> Tensor:
        """What a matrix made, by part and head: [B, L, C, N, H]."""
        rows, length, _ = x_BLX.shape
        return x_BLX.view(rows, length, -1, self.heads, self.inner_width // self.heads)


class SelfAttention(Attention):
    """Attention within a sequence, with one matrix for queries, keys and values."""

    def __init__(self, settings: ModelSettings, sites: Iterator[int]) -> None:
        super().__init__(settings, sites)
        self.qkv = nn.Linear(settings.width, 3 * self.inner_width, bias=settings.bias)
        self.output = nn.Linear(self.inner_width, settings.width, bias=settings.bias)

    def forward(self, x_BLD: Tensor, scope: Scope, key: DropoutKey | None) -> Tensor:
        """Mix positions: [B, L, D] to [B, L, D]."""
        mixed_BLI = scope.attend(self._parts(self.qkv(x_BLD)), self.product, key)
        mixed: Tensor = self.output(mixed_BLI)
        return mixed


class CrossAttention(Attention):
    """Attention from a decoder to its encoder, with one matrix for keys and values.

    Positions play no part in it: what the encoder says of them is in its states.
    """

    def __init__(self, settings: ModelSettings, sites: Iterator[int]) -> None:
        super().__init__(settings, sites)
        self.query = nn.Linear(settings.width, self.inner_width, bias=settings.bias)
        self.kv = nn.Linear(settings.width, 2 * self.inner_width, bias=settings.bias)
        self.output = nn.Linear(self.inner_width, settings.width, bias=settings.bias)

    def forward(self, x_BQD: Tensor, memory: Memory, key: DropoutKey | None) -> Tensor:
        """Bring in the encoder's states: [B, Q, D] to [B, Q, D]."""
        (q_BNQH,) = by_heads(self._parts(self.query(x_BQD)))
        k_BNKH, v_BNKH = by_heads(self._parts(self.kv(memory.states_BKD)))
        mixed_BQI = self.product((q_BNQH, k_BNKH, v_BNKH), memory.mask, key)
        mixed: Tensor = self.output(mixed_BQI)
        return mixed
