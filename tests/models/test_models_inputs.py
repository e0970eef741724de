import torch

from lmprep.models.inputs import IGNORED, Documents, Inputs, Labels, Outputs
from tests.models.tiny_models import inputs_for, tiny


def test_a_change_reaches_every_tensor_and_nothing_else():
    inputs = inputs_for(tiny("bert", span_boundary=3))
    seen = []
    doubled = inputs.each(lambda tensor: seen.append(tensor) or tensor * 2)

    assert len(seen) == 5 + 3  # with those of the boundaries
    assert torch.equal(doubled.ids_BL, inputs.ids_BL * 2)
    assert torch.equal(doubled.boundaries.right_S, inputs.boundaries.right_S * 2)
    assert torch.equal(doubled.firsts_P, inputs.firsts_P * 2)
    assert doubled.documents is None


def test_outputs_change_too():
    outputs = Outputs(logits_MV=torch.ones(2, 3, dtype=torch.bfloat16))

    assert outputs.each(torch.Tensor.float).logits_MV.dtype == torch.float32


def test_a_change_reaches_the_offsets_of_documents_and_leaves_their_longest_alone():
    documents = Documents(offsets_S=torch.tensor([0, 3, 5]), longest=3)
    ids = torch.zeros(1, 5).int()
    inputs = Inputs(ids_BL=ids, documents=documents, scored_M=torch.tensor([1]))
    doubled = inputs.each(lambda tensor: tensor * 2)

    assert doubled.documents.offsets_S.tolist() == [0, 6, 10]
    assert doubled.documents.longest == 3


def test_absent_labels_stay_absent():
    labels = Labels(tokens_M=torch.tensor([1, IGNORED])).each(lambda tensor: tensor + 1)

    assert labels.tokens_M.tolist() == [2, -99]
    assert labels.pairs_P is labels.boundary_S is None
