import torch

from lmprep.models.inputs import Outputs
from tests.models.tiny_models import inputs_for, tiny


def test_a_change_reaches_every_tensor_and_nothing_else():
    inputs = inputs_for(tiny("bert", span_boundary=3))
    seen = []
    doubled = inputs.each(lambda tensor: seen.append(tensor) or tensor * 2)

    assert len(seen) == 4 + 3  # with those of the boundaries
    assert torch.equal(doubled.ids_BL, inputs.ids_BL * 2)
    assert torch.equal(doubled.boundaries.right_S, inputs.boundaries.right_S * 2)
    assert doubled.documents_BL is None
    assert doubled.pairs is True


def test_outputs_change_too():
    outputs = Outputs(logits_MV=torch.ones(2, 3, dtype=torch.bfloat16))

    assert outputs.each(torch.Tensor.float).logits_MV.dtype == torch.float32
