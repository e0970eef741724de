"""Cross-entropy against a teacher's probabilities, a part of the logits at a time.

    sum of w * T**2 * -(softmax(teacher / T) . log softmax(student / T))

over the states, T the temperature (Hinton et al. 2015, arXiv:1503.02531, section 2: the factor T**2
keeps the size of the gradients). It is the Kullback-Leibler divergence and, on top, the entropy of
the teacher, which no student can change. As in `cross_entropy.py` the gradients for states, matrix
and bias are made while the logits of some rows are there.

M states, R of them at a time, V ids, D width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lmprep.models.cross_entropy import Projection, rows_at_once, scaled_gradients
from lmprep.models.precision import computing_dtype


def soft_cross_entropy(
    student: Projection, teacher: Projection, weights_M: Tensor, temperature: float
) -> Tensor:
    """The weighted sum of the cross-entropies: a number, float32 (float64 for float64 states).

    Args:
        student: gets gradients; the teacher gets none.
        teacher: of the same states, with at least as many ids, of which the first are the
            student's.
        weights_M: of the states.
        temperature: what both logits are divided by.
    """
    size = len(student.matrix_VD) if student.size is None else student.size
    dtype = computing_dtype(student.states_MD)
    loss: Tensor = _SoftCrossEntropy.apply(  # type: ignore[no-untyped-call]
        student.states_MD,
        student.matrix_VD,
        student.bias_V,
        teacher,
        weights_M,
        temperature,
        size,
        dtype,
    )
    return loss


class _SoftCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states_MD: Tensor,
        matrix_VD: Tensor,
        bias_V: Tensor | None,
        teacher: Projection,
        weights_M: Tensor,
        temperature: float,
        size: int,
        dtype: torch.dtype,
    ) -> Tensor:
        tensors = (states_MD, matrix_VD, bias_V)
        ctx.dtypes = tuple(None if each is None else each.dtype for each in tensors)
        student = _in(Projection(states_MD=states_MD, matrix_VD=matrix_VD, bias_V=bias_V), dtype)
        loss, *gradients = _in_parts(student, _in(teacher, dtype), weights_M, temperature, size)
        ctx.save_for_backward(*gradients)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (*scaled_gradients(ctx, gradient), None, None, None, None, None)


def _in(projection: Projection, dtype: torch.dtype) -> Projection:
    bias_V = projection.bias_V
    return Projection(
        states_MD=projection.states_MD.to(dtype),
        matrix_VD=projection.matrix_VD.to(dtype),
        bias_V=None if bias_V is None else bias_V.to(dtype),
    )


def _in_parts(
    student: Projection, teacher: Projection, weights_M: Tensor, temperature: float, size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The loss and its gradients for the student's states, matrix and bias."""
    matrix_VD, bias_V = student.matrix_VD, student.bias_V
    sums = torch.promote_types(matrix_VD.dtype, torch.float32)
    loss = torch.zeros((), dtype=sums, device=matrix_VD.device)
    of_states: list[Tensor] = []
    of_matrix = torch.zeros_like(matrix_VD, dtype=sums)
    of_bias = None if bias_V is None else torch.zeros_like(bias_V, dtype=sums)
    rows = rows_at_once(matrix_VD)
    split = (student.states_MD, teacher.states_MD, weights_M)
    parts = [torch.split(each, rows) for each in split]
    for states_RD, taught_RD, weights_R in zip(*parts, strict=True):
        taught_RV = F.linear(taught_RD, teacher.matrix_VD, teacher.bias_V)[:, :size].to(sums)
        shares_RV = (taught_RV / temperature).softmax(-1)
        logits_RV = F.linear(states_RD, matrix_VD, bias_V)[:, :size].to(sums)
        logs_RV = (logits_RV / temperature).log_softmax(-1)
        weights_R1 = weights_R[:, None].to(sums)
        # Not in place: torch 2.11, compiling, loses the gradient.
        loss = loss - temperature**2 * (weights_R1 * shares_RV * logs_RV).sum()
        # One of the two factors T is that of the logits' division.
        gradient_RV = temperature * weights_R1 * (logs_RV.exp() - shares_RV)
        gradient_RV = F.pad(gradient_RV, (0, len(matrix_VD) - size)).to(matrix_VD.dtype)
        of_states.append(gradient_RV @ matrix_VD)
        of_matrix += gradient_RV.t() @ states_RD
        if of_bias is not None:
            of_bias += gradient_RV.sum(0, dtype=sums)
    return loss, torch.cat(of_states), of_matrix, of_bias
