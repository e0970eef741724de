"""Multi-head attention, within a sequence and from a decoder to its encoder.

B rows, Q queries, K keys, L positions where they are the same, D width, N heads, H width of a
head, I width of all heads, C queries, keys and values, as many as one matrix makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

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
        made: keys and values by attention, kept from the first use on where many passes look at
            the same memory; None keeps nothing.
    """

    states_BKD: Tensor
    mask: Mask
    made: dict[nn.Module, tuple[Tensor, ...]] | None = None

    def kept(self) -> Memory:
        """The same memory, which keeps what attentions make of it."""
        return replace(self, made={})

    def rows(self, chosen_C: Tensor) -> Memory:
        """The memory of the chosen rows: int64 [C]."""
        allowed = self.mask.allowed
        mask = self.mask if allowed is None else Mask(allowed=allowed[chosen_C])
        made = None
        if self.made is not None:
            made = {at: tuple(x[chosen_C] for x in parts) for at, parts in self.made.items()}
        return Memory(states_BKD=self.states_BKD[chosen_C], mask=mask, made=made)


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
        mixed_BQI = self.product((q_BNQH, *self._of_memory(memory)), memory.mask, key)
        mixed: Tensor = self.output(mixed_BQI)
        return mixed

    def _of_memory(self, memory: Memory) -> tuple[Tensor, ...]:
        """Keys and values, each [B, N, K, H]."""
        if memory.made is not None and self in memory.made:
            return memory.made[self]
        parts = by_heads(self._parts(self.kv(memory.states_BKD)))
        if memory.made is not None:
            memory.made[self] = parts
        return parts
