"""M scored states, V ids, D width."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from lmprep.models import cross_entropy
from lmprep.models.cross_entropy import Projection, linear_cross_entropy
from lmprep.models.inputs import IGNORED
from lmprep.models.softmax_gradient import softmax_gradient

M, V, D = 70, 1201, 24
DTYPES = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 1e-2}


def problem(dtype: torch.dtype, *, rows: int = V) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States, matrix and bias, in values that all dtypes hold, and labels with ignored ones."""
    generator = torch.Generator().manual_seed(5)

    def drawn(*shape: int) -> Tensor:
        values = torch.randn(shape, generator=generator).bfloat16().to(dtype)
        return values.requires_grad_()

    labels_M = torch.randint(V, (M,), generator=generator)
    labels_M[::7] = IGNORED
    return drawn(M, D), drawn(rows, D), drawn(rows), labels_M


def expected_of(
    states_MD: Tensor, matrix_VD: Tensor, bias_V: Tensor | None, labels_M: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Loss and gradients in float64 by torch's own cross-entropy, of the real ids."""
    tensors = [
        None if each is None else each.detach().double().requires_grad_()
        for each in (states_MD, matrix_VD, bias_V)
    ]
    logits_MV = F.linear(*tensors)[:, :V]
    loss = F.cross_entropy(logits_MV, labels_M, reduction="sum", ignore_index=IGNORED)
    loss.backward()
    return loss.detach(), [each.grad for each in tensors if each is not None]


def assert_near(found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Within a fraction of the expected values' norm."""
    assert (found.double() - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("chunk", [1, 8, 70, 1000])
@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES.items())
def test_loss_and_gradients_equal_those_in_double_precision(
    dtype: torch.dtype, tolerance: float, chunk: int, biased: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cross_entropy, "_CPU_BYTES", chunk * V * dtype.itemsize)
    states_MD, matrix_VD, bias_V, labels_M = problem(dtype)
    tensors = [states_MD, matrix_VD, *([bias_V] if biased else [])]
    loss = linear_cross_entropy(states_MD, matrix_VD, bias_V if biased else None, labels_M)
    (3 * loss).backward()
    expected, gradients = expected_of(
        states_MD, matrix_VD, tensors[2] if biased else None, labels_M
    )

    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert_near(loss.detach(), expected, tolerance)
    for tensor, gradient in zip(tensors, gradients, strict=True):
        assert tensor.grad.dtype == dtype
        assert_near(tensor.grad / 3, gradient, tolerance)


def test_autocast_computes_in_bf16_and_keeps_the_gradients_of_float32_weights():
    tensors = problem(torch.float32)
    labels_M = tensors[3]
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(*tensors)
    loss.backward()
    exact = linear_cross_entropy(*[each.detach() for each in tensors])
    expected, gradients = expected_of(*tensors)

    assert loss.dtype == torch.float32
    assert not torch.equal(loss, exact)
    assert_near(loss.detach(), expected, 1e-3)
    for tensor, gradient in zip(tensors, gradients, strict=False):
        assert tensor.grad.dtype == torch.float32
        assert_near(tensor.grad, gradient, 1e-2)
    assert (tensors[0].grad[labels_M == IGNORED] == 0).all()


def test_the_gradient_of_the_matrix_is_summed_in_float32(monkeypatch: pytest.MonkeyPatch):
    # One row at a time: in bf16 the sum would stop growing, as 256 + 1 is 256 there.
    monkeypatch.setattr(cross_entropy, "_CPU_BYTES", 1)
    states_MD = torch.ones(2000, 8)
    matrix_VD = torch.zeros(2, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        linear_cross_entropy(states_MD, matrix_VD, None, torch.zeros(2000).long()).backward()

    torch.testing.assert_close(matrix_VD.grad[:, 0], torch.tensor([-1000.0, 1000.0]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_that_fill_the_matrix_up_have_no_probability_and_no_gradient(dtype: torch.dtype):
    tensors = problem(dtype, rows=V + 15)
    with torch.no_grad():
        tensors[1][V:] = 50.0  # would win every softmax
    loss = linear_cross_entropy(*tensors, size=V)
    loss.backward()
    expected, gradients = expected_of(*tensors)

    assert_near(loss.detach(), expected, DTYPES[dtype])
    for tensor, gradient in zip(tensors, gradients, strict=False):
        assert_near(tensor.grad, gradient, DTYPES[dtype])
    assert (tensors[1].grad[V:] == 0).all()
    assert (tensors[2].grad[V:] == 0).all()


def test_logits_and_loss_of_a_projection_are_of_the_same_ids():
    states_MD, matrix_VD, bias_V, labels_M = problem(torch.float64, rows=V + 15)
    projection = Projection(states_MD=states_MD, matrix_VD=matrix_VD, bias_V=bias_V, size=V)
    logits_MV = projection.logits()

    assert logits_MV.shape == (M, V)
    expected = F.cross_entropy(logits_MV, labels_M, reduction="sum", ignore_index=IGNORED)
    torch.testing.assert_close(projection.loss(labels_M), expected)


def test_at_no_time_are_there_more_logits_than_a_part(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cross_entropy, "_CPU_BYTES", 9 * V * 4)
    rows = []

    def watched(logits: Tensor, labels: Tensor, size: int) -> tuple[Tensor, Tensor]:
        rows.append(len(logits))
        return softmax_gradient(logits, labels, size)

    monkeypatch.setattr(cross_entropy, "softmax_gradient", watched)
    linear_cross_entropy(*problem(torch.float32))

    assert rows == [9, 9, 9, 9, 9, 9, 9, 7]


def test_without_gradients_none_are_made(monkeypatch: pytest.MonkeyPatch):
    wanted = []
    in_parts = cross_entropy._in_parts
    monkeypatch.setattr(
        cross_entropy, "_in_parts", lambda *args: wanted.append(args[-1]) or in_parts(*args)
    )
    tensors = problem(torch.float32)
    with torch.no_grad():
        alone = linear_cross_entropy(*tensors)
    loss = linear_cross_entropy(*tensors)

    assert wanted == [False, True]
    assert torch.equal(alone, loss)


def test_no_rows_have_no_loss():
    states_MD, matrix_VD, bias_V, labels_M = problem(torch.float32)
    loss = linear_cross_entropy(states_MD[:0], matrix_VD, bias_V, labels_M[:0])
    loss.backward()

    assert loss == 0
    assert (matrix_VD.grad == 0).all()


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 1100),
    more=st.integers(0, 3),
    scale=st.sampled_from([0.01, 1.0, 30.0, 1e4]),
    seed=st.integers(0, 2**16),
)
@example(rows=3, columns=40, more=0, scale=1e4, seed=1)
def test_the_kernel_equals_its_obvious_twin(
    rows: int, columns: int, more: int, scale: float, seed: int
):
    generator = torch.Generator().manual_seed(seed)
    logits = (scale * torch.randn(rows, columns + more, generator=generator)).bfloat16()
    labels = torch.randint(columns, (rows,), generator=generator)
    labels[seed % rows] = IGNORED if seed % 2 else 0
    expected, gradient = softmax_gradient(logits.double(), labels, columns)
    losses, found = softmax_gradient(logits, labels, columns)

    torch.testing.assert_close(losses.double(), expected, rtol=2e-6, atol=2e-6)
    # The label's own is a difference to 1.
    torch.testing.assert_close(found.double(), gradient, rtol=2**-8, atol=3e-7)


def test_two_threads_make_what_one_makes():
    logits = torch.randn(300, 1000, generator=torch.Generator().manual_seed(1)).bfloat16()
    labels = torch.arange(300)
    made = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            made.append(softmax_gradient(logits.clone(), labels, 1000))
        finally:
            torch.set_num_threads(1)

    assert torch.equal(made[0][0], made[1][0])
    assert torch.equal(made[0][1], made[1][1])
