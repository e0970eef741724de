"""The transformer block: attention and feed-forward, each added to what entered it.

B rows, L positions, D width, F inner width of the feed-forward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from torch import Tensor, nn

from lmprep.models.activations import activation
from lmprep.models.attention import CrossAttention, Memory, SelfAttention
from lmprep.models.dropout import Dropout, DropoutKey
from lmprep.models.norms import new_norm
from lmprep.models.scopes import Scope
from lmprep.models.settings import ModelSettings


class Block(nn.Module):
    """One layer, with a norm after each addition (`post`) or before each part (`pre`).

    Args:
        settings: of the model.
        sites: numbers for the dropouts.
        cross: whether it attends to an encoder's states too, after its own.
    """

    def __init__(
        self, settings: ModelSettings, sites: Iterator[int], *, cross: bool = False
    ) -> None:
        super().__init__()
        self.pre_norm = settings.norm_place == "pre"
        self.attention = SelfAttention(settings, sites)
        self.attention_dropout = Dropout(settings.dropout, sites)
        self.attention_norm = new_norm(settings)
        if cross:
            self.cross_attention = CrossAttention(settings, sites)
            self.cross_attention_dropout = Dropout(settings.dropout, sites)
            self.cross_attention_norm = new_norm(settings)
        self._add_feed_forward(settings, sites)

    def _add_feed_forward(self, settings: ModelSettings, sites: Iterator[int]) -> None:
        width, inner = settings.width, settings.feed_forward
        self.activation, self.gated = activation(settings)
        if self.gated:
            self.gate = nn.Linear(width, inner, bias=settings.bias)
        self.expand = nn.Linear(width, inner, bias=settings.bias)
        self.inner_dropout = Dropout(settings.dropout, sites) if settings.full_dropout else None
        self.contract = nn.Linear(inner, width, bias=settings.bias)
        self.feed_forward_dropout = Dropout(settings.dropout, sites)
        self.feed_forward_norm = new_norm(settings)

    def forward(
        self, x_BLD: Tensor, scope: Scope, key: DropoutKey | None, memory: Memory | None = None
    ) -> Tensor:
        """One layer: [B, L, D] to [B, L, D].

        Args:
            scope: what the self-attention looks at.
            memory: of the encoder, for a block with cross-attention.
        """
        attend = partial(self.attention, scope=scope, key=key)
        x_BLD = self._add(x_BLD, attend, self.attention_norm, self.attention_dropout, key)
        if memory is not None:
            look_up = partial(self.cross_attention, memory=memory, key=key)
            norm, dropout = self.cross_attention_norm, self.cross_attention_dropout
            x_BLD = self._add(x_BLD, look_up, norm, dropout, key)
        feed = partial(self._feed_forward, key=key)
        return self._add(x_BLD, feed, self.feed_forward_norm, self.feed_forward_dropout, key)

    def _add(
        self,
        x_BLD: Tensor,
        part: Callable[[Tensor], Tensor],
        norm: nn.Module,
        dropout: Dropout,
        key: DropoutKey | None,
    ) -> Tensor:
        added_BLD: Tensor
        if self.pre_norm:
            added_BLD = x_BLD + dropout(part(norm(x_BLD)), key)
        else:
            added_BLD = norm(x_BLD + dropout(part(x_BLD), key))
        return added_BLD

    def _feed_forward(self, x_BLD: Tensor, key: DropoutKey | None) -> Tensor:
        if self.gated:
            inner_BLF = self.activation(self.gate(x_BLD)) * self.expand(x_BLD)
        else:
            inner_BLF = self.activation(self.expand(x_BLD))
        if self.inner_dropout is not None:
            inner_BLF = self.inner_dropout(inner_BLF, key)
        contracted: Tensor = self.contract(inner_BLF)
        return contracted
