"""The cross-entropy against a teacher equals plain formulas over whole logits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lmprep.models import soft_cross_entropy as module
from lmprep.models.cross_entropy import Projection
from lmprep.models.soft_cross_entropy import soft_cross_entropy

SIZE, ROWS = 11, 16


def drawn(seed: int, states: int, width: int, rows: int = ROWS) -> Projection:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    projection = Projection(
        states_MD=normal(states, width), matrix_VD=normal(rows, width), bias_V=normal(rows),
        size=SIZE,
    )  # fmt: skip
    assert projection.bias_V is not None
    for tensor in (projection.states_MD, projection.matrix_VD, projection.bias_V):
        tensor.requires_grad_()
    return projection


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("at_once", [2, 100])
def test_loss_and_gradients_are_those_of_the_formula(monkeypatch, temperature, at_once):
    monkeypatch.setattr(module, "rows_at_once", lambda _: at_once)
    student, teacher = drawn(1, 7, 5), drawn(2, 7, 3, rows=20)
    weights = torch.tensor([1.0, 0, 1, 1, 2, 0, 1], dtype=torch.float64)
    tensors = (student.states_MD, student.matrix_VD, student.bias_V)
    taught = F.linear(teacher.states_MD, teacher.matrix_VD, teacher.bias_V)[:, :SIZE].detach()
    each = F.cross_entropy(
        student.logits() / temperature, (taught / temperature).softmax(-1), reduction="none"
    )
    expected = temperature**2 * (weights * each).sum()
    gradients = torch.autograd.grad(expected, tensors)
    found = soft_cross_entropy(student, teacher, weights, temperature)

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, tensors), gradients)
    assert teacher.states_MD.grad is None


def test_it_is_the_divergence_of_distilberts_code_and_the_teachers_entropy():
    """The published code: KLDivLoss(batchmean) of log-softmax and softmax at T, times T squared."""
    student, teacher, temperature = drawn(3, 4, 5), drawn(4, 4, 5), 2.0
    shares = (teacher.logits() / temperature).softmax(-1)
    divergence = torch.nn.KLDivLoss(reduction="batchmean")(
        (student.logits() / temperature).log_softmax(-1), shares
    )
    entropy = -(shares * shares.log()).sum(-1).mean()
    found = soft_cross_entropy(student, teacher, torch.ones(4), temperature) / 4

    torch.testing.assert_close(found, temperature**2 * (divergence + entropy))


def test_a_student_that_is_its_teacher_has_no_gradient():
    student = drawn(5, 4, 5)
    loss = soft_cross_entropy(student, student, torch.ones(4), 3.0)
    (gradient,) = torch.autograd.grad(loss, student.states_MD)

    torch.testing.assert_close(gradient, torch.zeros_like(gradient))
