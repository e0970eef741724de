"""The ways that runs go on CUDA devices, as far as a CPU can walk them.

T positions of the batch, B rows, L positions, N heads, H width of a head.
"""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn

from lmprep.models import flex, scopes, varlen
from lmprep.models.dot_product import DotProduct
from lmprep.models.dropout import Dropout
from lmprep.models.inputs import Documents, Inputs
from lmprep.models.masks import bidirectional_mask, causal_mask, packed_mask
from lmprep.models.positions import RelativePositions
from lmprep.models.scopes import Grouped, Offsets, Square, scope_of

ROWS, LENGTH, HEADS, WIDTH = 2, 24, 4, 8
DOCUMENTS = Documents(
    offsets_S=torch.tensor([0, 9, 13, 21, 24, 29, 48, 48], dtype=torch.int32), longest=19
)
PRODUCT = DotProduct(scale=0.3, dropout=Dropout(0.0, iter([0])))
INPUTS = Inputs(
    ids_BL=torch.zeros(ROWS, LENGTH).int(), documents=DOCUMENTS, scored_M=torch.tensor([0])
)


def parts() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(ROWS, LENGTH, 3, HEADS, WIDTH, generator=generator)


def positions(*, causal: bool) -> RelativePositions:
    made = RelativePositions(HEADS, causal=causal)
    torch.nn.init.normal_(made.weight, generator=torch.Generator().manual_seed(2))
    return made


def offsets_scope(*, causal: bool) -> Offsets:
    return Offsets(documents=DOCUMENTS, causal=causal, rows=ROWS, length=LENGTH)


def square_scope(*, causal: bool) -> Square:
    mask = causal_mask(LENGTH) if causal else bidirectional_mask(LENGTH)
    return Square(mask=packed_mask(mask, DOCUMENTS, ROWS, LENGTH), length=LENGTH)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("causal", [False, True])
def test_flex_attention_equals_the_mask_of_the_square_with_biases(causal: bool):
    # Forwards: torch has no way back for it on CPU.
    biases = positions(causal=causal)
    with torch.no_grad():
        flexible, expected = (
            scope.with_bias(biases).attend(parts(), PRODUCT, None)
            for scope in (offsets_scope(causal=causal), square_scope(causal=causal))
        )

    torch.testing.assert_close(flexible, expected, atol=1e-5, rtol=1e-5)


def dense_runs(
    q_TNH: Tensor,
    k_TNH: Tensor,
    v_TNH: Tensor,
    offsets: Tensor,
    window: tuple[int, int],
    scale: float,
) -> Tensor:
    """Attention within each run, run by run."""
    mixed = []
    for start, stop in zip(offsets.tolist(), offsets.tolist()[1:], strict=False):
        scores_NQK = scale * torch.einsum("qnh,knh->nqk", q_TNH[start:stop], k_TNH[start:stop])
        if window == (-1, 0):
            later = torch.ones(stop - start, stop - start).triu(1).bool()
            scores_NQK = scores_NQK.masked_fill(later, -torch.inf)
        mixed.append(torch.einsum("nqk,knh->qnh", scores_NQK.softmax(-1), v_TNH[start:stop]))
    return torch.cat(mixed)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_over_offsets_equals_groups_of_runs(
    causal: bool, monkeypatch: pytest.MonkeyPatch
):
    def kernel(
        *args: Tensor | int, scale: float, window_size: tuple[int, int] = (-1, -1)
    ) -> Tensor:
        # As torch's own would be bound: every name it is called by exists.
        bound = inspect.signature(varlen_attn).bind(*args, scale=scale, window_size=window_size)
        asked = bound.arguments
        assert asked["query"].shape == (ROWS * LENGTH, HEADS, WIDTH)
        assert asked["cu_seq_q"] is asked["cu_seq_k"] is DOCUMENTS.offsets_S
        assert asked["max_q"] == asked["max_k"] == DOCUMENTS.longest
        q_TNH, k_TNH, v_TNH = args[:3]
        return dense_runs(q_TNH, k_TNH, v_TNH, asked["cu_seq_q"], window_size, scale)

    monkeypatch.setattr(varlen, "varlen_attn", kernel, raising=False)  # imported with CUDA
    grouped = Grouped(runs=scopes.runs_of(DOCUMENTS, causal=causal))
    x_BLCNH = parts()
    found = offsets_scope(causal=causal).attend(x_BLCNH, PRODUCT, None)
    expected = grouped.attend(x_BLCNH, PRODUCT, None)

    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_block_mask_skips_blocks_without_cells():
    documents = Documents(offsets_S=torch.tensor([0, 256, 512], dtype=torch.int32), longest=256)
    both = flex.block_mask(documents, 1, 512, causal=False)
    back = flex.block_mask(documents, 1, 512, causal=True)

    assert both.to_dense()[0, 0].tolist() == [[1, 1, 0, 0]] * 2 + [[0, 0, 1, 1]] * 2
    assert back.to_dense()[0, 0].tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 1],
    ]


@pytest.mark.parametrize(
    ("device", "dtype", "dropping", "kind"),
    [
        ("cpu", torch.float32, True, Grouped),
        ("cpu", torch.bfloat16, False, Grouped),
        ("cuda", torch.bfloat16, False, Offsets),
        ("cuda", torch.float16, False, Offsets),
        ("cuda", torch.bfloat16, True, Square),
        ("cuda", torch.float32, False, Square),
    ],
)
def test_runs_go_the_quickest_way_of_their_device(
    device: str, dtype: torch.dtype, dropping: bool, kind: type, monkeypatch: pytest.MonkeyPatch
):
    class Vectors:  # a tensor as far as the choice looks at it
        def __init__(self) -> None:
            self.device, self.dtype = torch.device(device), dtype

    scope = scope_of(INPUTS, Vectors(), causal=True, dropping=dropping)

    assert type(scope) is kind


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_on_cuda_both_ways_equal_the_square(causal: bool, biased: bool):
    documents = DOCUMENTS.each(Tensor.cuda)
    mask = causal_mask(LENGTH) if causal else bidirectional_mask(LENGTH)
    square = Square(mask=packed_mask(mask, documents, ROWS, LENGTH), length=LENGTH)
    runs = Offsets(documents=documents, causal=causal, rows=ROWS, length=LENGTH)
    found = []
    for scope, dtype in ((runs, torch.bfloat16), (square, torch.float32)):
        x_BLCNH = parts().repeat(1, 1, 1, 1, 8).cuda().to(dtype).requires_grad_()  # heads of 64
        biases = positions(causal=causal).cuda()
        told = scope.with_bias(biases) if biased else scope
        mixed_BLI = told.attend(x_BLCNH, PRODUCT, None)
        mixed_BLI.float().sum().backward()
        found.append((mixed_BLI.detach(), x_BLCNH.grad, biases.weight.grad))

    for quick, expected in zip(*found, strict=True):
        assert (quick is None) == (expected is None)
        if quick is not None:  # single values may be sums of many roundings
            error = (quick.float() - expected).square().mean().sqrt()
            assert error < 0.02 * expected.square().mean().sqrt()
