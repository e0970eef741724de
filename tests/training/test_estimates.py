import numpy as np
import pytest
import torch

from lmprep.models.construction import new_model
from lmprep.models.inputs import Inputs, Labels
from lmprep.models.settings import ModelSettings, model_settings
from lmprep.ragged import Ragged
from lmprep.training.batch import Batch, make_batch
from lmprep.training.bins import one_row_each
from lmprep.training.estimates import activation_bytes
from lmprep.training.tasks import Task
from tests.training.test_training_batch import GPT2, T5

ROWS, LENGTH, MASKED = 4, 128, 40


def masked_batch(vocabulary: int) -> Batch:
    ids = torch.arange(ROWS * LENGTH).view(ROWS, LENGTH) % vocabulary
    scored = torch.arange(MASKED) * 7
    return Batch(
        inputs=Inputs(
            ids_BL=ids.int(),
            types_BL=torch.zeros_like(ids).int(),
            lengths_B=torch.full((ROWS,), LENGTH - 1),
            scored_M=scored,
        ),
        labels=Labels(tokens_M=ids.flatten()[scored]),
        kinds_M=torch.zeros(MASKED, dtype=torch.int8),
        tokens=ids.numel(),
    )


def counted_bytes(model: ModelSettings, precision: torch.dtype) -> int:
    """What an encoder keeps, counted by hand.

    A layer keeps per token 18 values of the width: its input, queries, keys and values, the mixed
    heads, two dropout masks, two norms' inputs and the output of the first, and before and after
    the activation function four each; and per head and key 3: the attention weights, their mask,
    their product. In bf16, masks, norms and residuals stay wider. Of the output there are no logits
    but the gradients of the states, the matrix and the bias.
    """
    width_bytes, weight_bytes = (46, 6) if precision == torch.bfloat16 else (18 * 4, 3 * 4)
    layer = width_bytes * model.width + weight_bytes * model.heads * LENGTH
    embeddings = 3 * 4 * model.width
    output = (MASKED + model.vocabulary_rows) * model.width + model.vocabulary_rows
    return ROWS * LENGTH * (model.layers * layer + embeddings) + 4 * output


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("width", "heads", "vocabulary"), [(64, 8, 50), (256, 2, 50), (32, 2, 9000)]
)
def test_the_activations_of_an_encoder_are_those_counted_by_hand(
    precision, width, heads, vocabulary
):
    shape = ModelSettings(layers=4, width=width, heads=heads, vocabulary_size=vocabulary)
    measured = activation_bytes(new_model(shape, 0), masked_batch(vocabulary), precision)

    assert measured == pytest.approx(counted_bytes(shape, precision), rel=0.15)


def rows(count: int, length: int) -> Ragged:
    return Ragged.from_rows([[*range(3, length + 2), 1]] * count, np.int32)


@pytest.mark.parametrize("name", ["gpt2-tiny", "t5-tiny"])
def test_other_models_keep_in_proportion_to_rows_and_layers(name):
    if name == "gpt2-tiny":
        task = Task(objective="clm", length=64, vocabulary=GPT2)
    else:
        task = Task(objective="t5", noise="deshuffle", length=64, vocabulary=T5)

    def measured(count: int, layers: int) -> tuple[int, int]:
        """Beside all that is kept, what the gradient of the output matrix takes."""
        columns = {"input_ids": rows(count, 60), "labels": rows(count, 50)}
        batch = make_batch(columns, task, one_row_each(count, task.length))
        shape = model_settings(name, vocabulary_size=task.vocabulary.size, layers=layers)
        kept = activation_bytes(new_model(shape, 0), batch, torch.float32)
        return kept, 4 * shape.vocabulary_rows * shape.width

    (few, matrix), (many, _), (deep, _) = measured(2, 2), measured(8, 2), measured(2, 6)
    # T5's biases, GPT-2's mask and the matrix belong to no row, embeddings to no layer.
    assert many - matrix == pytest.approx(4 * (few - matrix), rel=0.1)
    assert deep - few == pytest.approx(2 * (few - matrix), rel=0.15)
