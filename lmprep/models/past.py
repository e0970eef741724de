"""Writing on: what a decoder has seen is kept, so that a new token costs one position.

B rows, L new positions, Q queries (the same), K keys (all positions), N heads, H width
of a head.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lmprep.models.dot_product import DotProduct, by_heads
from lmprep.models.dropout import DropoutKey
from lmprep.models.masks import Mask
from lmprep.models.positions import RelativePositions
from lmprep.models.scopes import Scope


class Past:
    """Keys and values of all positions so far, layer by layer; it grows with every pass.

    Args:
        pads_B: int64, places of padding before each row's first token, so that rows of different
            lengths end together; None without.
    """

    def __init__(self, pads_B: Tensor | None = None) -> None:
        self.length = 0
        self._pads_B = pads_B
        self._layers: list[tuple[Tensor, Tensor]] = []
        self._next = 0

    def scope(self, length: int, device: torch.device) -> Continued:
        """What the next `length` positions look at: all before them, and themselves."""
        self._next = 0
        if self._pads_B is None:
            mask = Mask() if length == 1 else Mask(allowed=self._before(length, device))
            if self.length == 0:
                mask = Mask(causal=True)
            return Continued(past=self, mask=mask, length=length)
        keys_K = torch.arange(self.length + length, device=device)
        inside_B11K = (keys_K >= self._pads_B[:, None])[:, None, None]
        # Padding looks at itself: a softmax over nothing is no number.
        itself_QK = keys_K == keys_K[self.length :, None]
        allowed = self._before(length, device) & inside_B11K | itself_QK
        return Continued(past=self, mask=Mask(allowed=allowed), length=length)

    def _before(self, length: int, device: torch.device) -> Tensor:
        """bool [1, 1, Q, K]: keys up to each query."""
        keys_K = torch.arange(self.length + length, device=device)
        return (keys_K <= keys_K[self.length :, None])[None, None]

    def positions(self, length: int, device: torch.device) -> Tensor | None:
        """The places of the next tokens in their own texts, int64 [B, L]; None without padding."""
        if self._pads_B is None:
            return None
        places_L = torch.arange(self.length, self.length + length, device=device)
        return (places_L - self._pads_B[:, None]).clamp(min=0)

    def extended(self, k_BNLH: Tensor, v_BNLH: Tensor) -> tuple[Tensor, Tensor]:
        """The next layer's keys and values with those before them."""
        if self._next == len(self._layers):
            self._layers.append((k_BNLH, v_BNLH))
        else:
            k, v = self._layers[self._next]
            self._layers[self._next] = torch.cat((k, k_BNLH), 2), torch.cat((v, v_BNLH), 2)
        self._next += 1
        return self._layers[self._next - 1]

    def passed(self, length: int) -> None:
        """All layers have seen `length` more positions."""
        self.length += length

    def keep_rows(self, chosen_C: Tensor) -> None:
        """Go on with the chosen rows, int64 [C], in this order; a row may be chosen often."""
        self._layers = [(k[chosen_C], v[chosen_C]) for k, v in self._layers]
        if self._pads_B is not None:
            self._pads_B = self._pads_B[chosen_C]


@dataclass(frozen=True, kw_only=True, eq=False)
class Continued(Scope):
    """New positions, and all before them.

    Args:
        past: is extended, layer by layer.
        mask: which keys the new positions look at.
        length: L.
    """

    past: Past
    mask: Mask
    length: int

    def with_bias(self, positions: RelativePositions) -> Scope:
        total = self.past.length + self.length
        bias_NQK = positions(total, total)[:, -self.length :]
        return replace(self, mask=self.mask.with_bias(bias_NQK))

    def _attend(self, x_BLCNH: Tensor, product: DotProduct, key: DropoutKey | None) -> Tensor:
        q_BNLH, k_BNLH, v_BNLH = by_heads(x_BLCNH)
        return product((q_BNLH, *self.past.extended(k_BNLH, v_BNLH)), self.mask, key)
