"""Values weighed by the softmax of queries times keys (arXiv:1706.03762, section 3.2.1).

B rows or runs, N heads, Q queries, K keys, H width of a head, I width of all heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from lmprep.models.dropout import Dropout, DropoutKey
from lmprep.models.masks import Mask


@dataclass(frozen=True, kw_only=True, eq=False)
class DotProduct:
    """What is the same for all that one attention looks at.

    Args:
        scale: of the scores.
        dropout: of the weights.
    """

    scale: float
    dropout: Dropout

    def __call__(
        self,
        heads_BNLH: Sequence[Tensor],
        mask: Mask,
        key: DropoutKey | None,
        starts_BNQ: Tensor | None = None,
    ) -> Tensor:
        """Values by attention: [B, Q, I].

        Args:
            heads_BNLH: queries, keys and values.
            mask: which keys a query attends to.
            key: fixes the dropped weights; without one none are.
            starts_BNQ: see `lmprep.models.dropout.dropout`.
        """
        q_BNQH, k_BNKH, v_BNKH = heads_BNLH
        probability = 0.0 if key is None else self.dropout.probability
        if probability and q_BNQH.device.type == "cpu":
            # On CPU torch has no fused attention with dropout either: the same, spelled out, with
            # our masks.
            weights_BNQK = self._weights(q_BNQH, k_BNKH, mask)
            mixed_BNQH: Tensor = self.dropout(weights_BNQK, key, starts_BNQ) @ v_BNKH
        else:
            if mask.allowed is not None and mask.allowed.is_floating_point():
                mask = Mask(allowed=mask.allowed.to(q_BNQH.dtype))
            mixed_BNQH = F.scaled_dot_product_attention(
                q_BNQH,
                k_BNKH,
                v_BNKH,
                attn_mask=mask.allowed,
                is_causal=mask.causal,
                dropout_p=probability,
                scale=self.scale,
            )
        return mixed_BNQH.transpose(1, 2).flatten(2)

    def _weights(self, q_BNQH: Tensor, k_BNKH: Tensor, mask: Mask) -> Tensor:
        scores_BNQK = (q_BNQH * self.scale) @ k_BNKH.transpose(-1, -2)
        queries, keys = scores_BNQK.shape[-2:]
        # An addition has nothing to do on the way back, a masking has.
        added = mask.added(queries, keys, scores_BNQK).allowed
        if added is not None:
            scores_BNQK.add_(added)
        return scores_BNQK.softmax(-1)


def by_heads(x_BLCNH: Tensor) -> tuple[Tensor, ...]:
    """Queries, keys and values, as many as there are, each by heads: C times [B, N, L, H]."""
    return x_BLCNH.permute(2, 0, 3, 1, 4).unbind()
