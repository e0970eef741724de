from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lmprep.models.rms_norm import RMSNorm


@pytest.mark.parametrize("shape", [(3, 5, 8), (7, 8), (8,), (0, 8)])
@pytest.mark.parametrize("epsilon", [1e-6, 0.5])
def test_value_and_gradients_equal_torchs(shape: tuple[int, ...], epsilon: float):
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    norm = RMSNorm(8, epsilon).double()
    with torch.no_grad():
        norm.weight.copy_(torch.randn(8, generator=generator, dtype=torch.float64))
    found = []
    for function in (norm, lambda x: F.rms_norm(x, (8,), norm.weight, epsilon)):
        x = values.clone().requires_grad_()
        norm.zero_grad()
        y = function(x)
        y.sin().sum().backward()
        found.append((y.detach(), x.grad, norm.weight.grad.clone()))

    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected)


def test_gradients_are_those_of_small_changes():
    norm = RMSNorm(6, 0.1).double()
    x = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(norm, (x,))


def test_a_row_of_zeros_stays_one():
    norm = RMSNorm(4, 1e-6)
    x = torch.zeros(2, 4, requires_grad=True)
    norm(x).sum().backward()

    assert torch.equal(norm(x), x)
    assert x.grad.isfinite().all()
