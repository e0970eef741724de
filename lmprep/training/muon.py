"""Muon: momentum whose singular values are all brought near 1, for matrices between hidden states.

Keller Jordan et al. 2024 (kellerjordan.github.io/posts/muon). A gradient's few large singular
values drown the others; an orthogonalised step goes equally far in every direction. With the
momentum M and the gradient G

    M <- 0.95 M + 0.05 G,   U = 0.95 M + 0.05 G (Nesterov),   O = U made orthogonal
    W <- (1 - rate * decay) W - rate * 0.2 * sqrt(max(rows, columns)) * O

The factor (Moonlight, arXiv:2502.16982, section 2.2) gives the step the root mean square that
AdamW's usually has, 0.2: so a learning rate and a weight decay mean what they mean there.

Matrices that are fused for speed (queries, keys and values) are cut into their parts first, each
of which has singular values of its own. All parts of one shape, or of that shape lying on its
side, are orthogonalised in one stack.

K matrices in a stack, R rows, C columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import cast

import torch
from torch import Tensor, nn

from lmprep.training.distributed import full, like

MOMENTUM = 0.95
_RMS = 0.2
_STEPS = 5
# Of x, x^3 and x^5: steep at 0 (small singular values grow by 3.4 a step), and such that five
# steps end between 0.68 and 1.14 for all from 0.01 up.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_SMALLEST = 1e-7  # norm of a matrix
# Values orthogonalised at once: more do not make a GPU faster, and the copies take memory.
_STACK = 1 << 26


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrix:
    """A parameter that Muon moves.

    Args:
        parameter: [R, C]; maybe a part of it here, the others on other ranks.
        parts: matrices of R / parts rows that it is fused from.
    """

    parameter: nn.Parameter
    parts: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a part."""
        rows, columns = self.parameter.shape
        return rows // self.parts, columns


class Muon:
    """The optimizer.

    Args:
        matrices: by name.
        decay: of the weights, decoupled.
        precision: to orthogonalise in; bf16 is enough.
    """

    def __init__(
        self, matrices: Mapping[str, Matrix], *, decay: float, precision: torch.dtype
    ) -> None:
        self.momenta: dict[str, Tensor] = {}
        self.matrices, self._decay, self._precision = dict(matrices), decay, precision

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every matrix that has a gradient."""
        names = [n for n, matrix in self.matrices.items() if matrix.parameter.grad is not None]
        for stack in self._stacks(names):
            self._move(stack, rate)

    def _stacks(self, names: Sequence[str]) -> Iterator[list[str]]:
        """The names in groups of one shape, none too large; the same on every rank."""

        def shape(name: str) -> tuple[int, int]:
            rows, columns = self.matrices[name].shape
            return min(rows, columns), max(rows, columns)

        for _, alike in groupby(sorted(names, key=shape), key=shape):
            stack: list[str] = []
            values = 0
            for name in alike:
                size = self.matrices[name].parameter.numel()
                if stack and values + size > _STACK:
                    yield stack
                    stack, values = [], 0
                stack.append(name)
                values += size
            yield stack

    def _move(self, names: Sequence[str], rate: float) -> None:
        parts = [self._parts(name) for name in names]
        moves_KRC = orthogonalised(torch.cat(parts))
        moves = torch.split(moves_KRC, [len(part) for part in parts])
        for name, move in zip(names, moves, strict=True):
            matrix = self.matrices[name]
            parameter, tall = matrix.parameter, matrix.shape[0] > matrix.shape[1]
            whole_RC = (move.mT if tall else move).reshape(parameter.shape)
            parameter.mul_(1 - rate * self._decay)
            step_RC = like(whole_RC.to(parameter.dtype), parameter)
            parameter.sub_(step_RC, alpha=rate * _RMS * max(matrix.shape) ** 0.5)

    def _parts(self, name: str) -> Tensor:
        """What is to be orthogonalised of a parameter: [parts, R, C] with R <= C."""
        matrix = self.matrices[name]
        rows, columns = matrix.shape
        update_RC = full(self._update(name).to(self._precision))
        parts = update_RC.view(matrix.parts, rows, columns)
        return parts.mT if rows > columns else parts

    def _update(self, name: str) -> Tensor:
        """The momentum, brought up to date, with one more look at the gradient (Nesterov)."""
        parameter = self.matrices[name].parameter
        gradient = cast("Tensor", parameter.grad)
        if name not in self.momenta:
            self.momenta[name] = torch.zeros_like(parameter)
        momentum = self.momenta[name].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(momentum, MOMENTUM)


def orthogonalised(x_KRC: Tensor) -> Tensor:
    """The matrices with all their singular values near 1: U S V^T to about U V^T.

    Newton and Schulz's iteration applies an odd polynomial to the singular values, in nothing but
    products of matrices.

    Args:
        x_KRC: R <= C is quicker.
    """
    a, b, c = _COEFFICIENTS
    norms = torch.linalg.vector_norm(x_KRC, dim=(1, 2), keepdim=True, dtype=torch.float32)
    x_KRC = x_KRC / norms.clamp(min=_SMALLEST).to(x_KRC.dtype)
    for _ in range(_STEPS):
        gram_KRR = x_KRC @ x_KRC.mT
        factor_KRR = torch.baddbmm(gram_KRR, gram_KRR, gram_KRR, beta=b, alpha=c)
        x_KRC = torch.baddbmm(x_KRC, factor_KRR, x_KRC, beta=a)
    return x_KRC
