"""Cross-entropy fused with the output matrix: the logits of a batch are never all there at once.

For some rows at a time: logits, the loss, in their place its gradient for them, and what that
gives for states, matrix and bias. Torch passes over all logits three times forwards and twice
backwards; here a part of them stays in the cache, and nothing is kept for the backward pass but
the gradients themselves.

M scored states, R of them at a time, V ids, of which the first `size` are real, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lmprep.models.precision import computing_dtype
from lmprep.models.softmax_gradient import softmax_gradient

# Bytes of logits at a time: on CPU they should be found in the cache, a GPU wants large products.
_CPU_BYTES, _CUDA_BYTES = 1 << 25, 1 << 29


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """States on their way to logits.

    Args:
        states_MD: of the scored tokens.
        matrix_VD, bias_V: of the output; the bias may be None.
        size: ids there are; rows of the matrix beyond only fill it up. None is V.
    """

    states_MD: Tensor
    matrix_VD: Tensor
    bias_V: Tensor | None = None
    size: int | None = None

    def logits(self) -> Tensor:
        """Of the real ids: [M, size]."""
        return F.linear(self.states_MD, self.matrix_VD, self.bias_V)[:, : self.size]

    @torch.no_grad()
    def drawn(self, draws_M: Tensor) -> Tensor:
        """An id for each state, drawn from the softmax of its logits: int64 [M].

        The ids share the numbers from 0 to 1 in proportion to their probabilities, in their
        order; the one is drawn in whose share the number falls. Some rows at a time, as above.

        Args:
            draws_M: from 0 to below 1; any id where it is below 0.
        """
        drawn = [
            _drawn(F.linear(states_RD, self.matrix_VD, self.bias_V)[:, : self.size], draws_R)
            for states_RD, draws_R in zip(
                torch.split(self.states_MD, rows_at_once(self.matrix_VD)),
                torch.split(draws_M, rows_at_once(self.matrix_VD)),
                strict=True,
            )
        ]
        return torch.cat(drawn)

    def loss(self, labels_M: Tensor) -> Tensor:
        """See `linear_cross_entropy`."""
        return linear_cross_entropy(
            self.states_MD, self.matrix_VD, self.bias_V, labels_M, self.size
        )


def _drawn(logits_RV: Tensor, draws_R: Tensor) -> Tensor:
    ends_RV = logits_RV.float().softmax(-1).cumsum(-1)
    places_R1 = draws_R[:, None] * ends_RV[:, -1:]
    drawn_R: Tensor = torch.searchsorted(ends_RV, places_R1, right=True)[:, 0]
    return drawn_R.clamp(max=logits_RV.shape[1] - 1)  # rounding may reach the end


def linear_cross_entropy(
    states_MD: Tensor,
    matrix_VD: Tensor,
    bias_V: Tensor | None,
    labels_M: Tensor,
    size: int | None = None,
) -> Tensor:
    """The sum of the cross-entropies of `states_MD @ matrix_VD.T + bias_V`: a number, float32.

    Products are in the precision of autocast, where it is on, softmax and sums in float32; all of
    it in float64 for float64 states.

    Args:
        states_MD, matrix_VD, bias_V, size: see `Projection`.
        labels_M: int64, from 0 to below `size`, or `IGNORED`: no loss and no gradient.
    """
    tensors = (states_MD, matrix_VD, bias_V)
    wanted = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in tensors
    )
    size = len(matrix_VD) if size is None else size
    dtype = computing_dtype(states_MD)
    loss: Tensor = _LinearCrossEntropy.apply(*tensors, labels_M, size, dtype, wanted)  # type: ignore[no-untyped-call]
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states_MD: Tensor,
        matrix_VD: Tensor,
        bias_V: Tensor | None,
        labels_M: Tensor,
        size: int,
        dtype: torch.dtype,
        wanted: bool,
    ) -> Tensor:
        ctx.dtypes = (states_MD.dtype, matrix_VD.dtype, None if bias_V is None else bias_V.dtype)
        bias_V = None if bias_V is None else bias_V.to(dtype)
        loss, *gradients = _in_parts(
            states_MD.to(dtype), matrix_VD.to(dtype), bias_V, labels_M, size, wanted
        )
        ctx.save_for_backward(*gradients)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (*scaled_gradients(ctx, gradient), None, None, None, None)


def scaled_gradients(ctx: Any, gradient: Tensor) -> list[Tensor | None]:
    """The gradients that a forward pass kept, times that of its loss, in the inputs' dtypes."""
    return [
        None if each is None else (each * gradient).to(dtype)
        for each, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
    ]


def _in_parts(
    states_MD: Tensor,
    matrix_VD: Tensor,
    bias_V: Tensor | None,
    labels_M: Tensor,
    size: int,
    wanted: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """The loss, and, if wanted, its gradients for states, matrix and bias."""
    sums = torch.promote_types(states_MD.dtype, torch.float32)
    loss = torch.zeros((), dtype=sums, device=states_MD.device)
    of_states: list[Tensor] = []
    of_matrix = torch.zeros_like(matrix_VD, dtype=sums) if wanted else None
    of_bias = None if bias_V is None or not wanted else torch.zeros_like(bias_V, dtype=sums)
    rows = rows_at_once(matrix_VD)
    parts = zip(torch.split(states_MD, rows), torch.split(labels_M, rows), strict=True)
    for states_RD, labels_R in parts:
        logits_RV = F.linear(states_RD, matrix_VD, bias_V)
        losses_R, gradient_RV = softmax_gradient(logits_RV, labels_R, size)
        loss = loss + losses_R.sum()  # not in place: torch 2.11, compiling, loses the gradient
        if of_matrix is not None:
            of_states.append(gradient_RV @ matrix_VD)
            of_matrix += gradient_RV.t() @ states_RD
        if of_bias is not None:
            of_bias += gradient_RV.sum(0, dtype=sums)
    return loss, torch.cat(of_states) if wanted else None, of_matrix, of_bias


def rows_at_once(matrix_VD: Tensor) -> int:
    """How many rows of logits to make at a time."""
    most = _CPU_BYTES if matrix_VD.device.type == "cpu" else _CUDA_BYTES
    return max(1, most // (len(matrix_VD) * matrix_VD.element_size()))
