import pytest
import torch
import torch.nn.functional as F

from lmprep.models.bert import new_bert
from lmprep.models.dropout import DropoutKey
from lmprep.models.settings import ModelSettings
from lmprep.training.data import Batch
from lmprep.training.estimates import activation_bytes
from lmprep.training.steps import forward

ROWS, LENGTH, MASKED = 4, 128, 40


def make_batch(vocabulary: int) -> Batch:
    ids = torch.arange(ROWS * LENGTH).view(ROWS, LENGTH) % vocabulary
    masked = torch.arange(MASKED) * 7
    return Batch(
        ids_BL=ids.int(),
        types_BL=torch.zeros_like(ids).int(),
        lengths_B=torch.full((ROWS,), LENGTH - 1),
        masked_M=masked,
        labels_M=ids.flatten()[masked],
        pairs_B=None,
        tokens=ids.numel(),
    )


def kept_bytes(model, batch, precision) -> int:
    """Memory that the backward pass will read, parameters not counted."""
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits, _ = forward(model, batch, precision, DropoutKey(seed=0, step=0))
        F.cross_entropy(logits, batch.labels_M)
    return sum(kept.values())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("width", "heads", "vocabulary"), [(64, 8, 50), (256, 2, 50), (32, 2, 9000)]
)
def test_activations_are_about_what_a_forward_pass_keeps(precision, width, heads, vocabulary):
    shape = ModelSettings(layers=4, width=width, heads=heads, vocabulary_size=vocabulary)
    batch = make_batch(vocabulary)
    kept = kept_bytes(new_bert(shape, 0), batch, precision)
    # Of the four arrays of logits the hooks see one.
    others = 3 * 4 * MASKED * vocabulary

    assert activation_bytes(shape, batch, precision) == pytest.approx(kept + others, rel=0.15)
