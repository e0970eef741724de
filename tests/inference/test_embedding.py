"""Vectors of texts are the model's states, pooled over a text's own tokens."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
import torch

from lmprep.inference.embedding import embedded, write_embedded
from lmprep.inference.pretrained import ask
from lmprep.models.inputs import Inputs

TEXTS = ["the boat", "a night by the water was long", "the"]


@pytest.mark.parametrize("name", ["bert", "gpt2"])
@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_each_text_is_pooled_as_if_it_were_alone(model_folder, name, pooling):
    asked = ask(str(model_folder(name)), head=False)
    found = embedded(asked, TEXTS, pooling=pooling)
    for text, vector in zip(TEXTS, found, strict=True):
        (row,) = asked.marked([text])
        inputs = Inputs(ids_BL=torch.tensor([row]), scored_M=torch.zeros(0, dtype=torch.long))
        with torch.no_grad():
            states = asked.model.states(inputs)[0]
        expected = {"mean": states.mean(0), "first": states[0], "last": states[-1]}[pooling]
        np.testing.assert_allclose(vector, expected.numpy(), atol=2e-5)


def test_layers_above_one_another_are_summed_or_side_by_side(model_folder):
    asked = ask(str(model_folder("bert")), head=False)
    width = asked.model.settings.width
    beside = embedded(asked, TEXTS, layers="concat-last-4")

    assert beside.shape == (3, 2 * width)  # the model has two layers
    np.testing.assert_allclose(
        beside[:, :width] + beside[:, width:],
        embedded(asked, TEXTS, layers="sum-last-4"),
        atol=1e-4,
    )


def test_both_forms_hold_the_same_vectors_in_the_order_of_the_lines(model_folder):
    asked = ask(str(model_folder("bert")), head=False)
    batches = [[(1, TEXTS[0]), (2, TEXTS[1])], [(3, TEXTS[2])]]
    forms = {}
    for form in ("npy", "arrow"):
        sink = io.BytesIO()
        write_embedded(asked, batches, sink, form=form, pooling="mean", layers="last")
        forms[form] = sink.getvalue()
    array = np.load(io.BytesIO(forms["npy"]))
    table = pa.ipc.open_stream(forms["arrow"]).read_all()

    np.testing.assert_allclose(array, embedded(asked, TEXTS), atol=1e-5)
    assert table["text"].to_pylist() == TEXTS
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), np.float32), array)


def test_no_lines_give_no_vectors(model_folder):
    asked, sink = ask(str(model_folder("bert")), head=False), io.BytesIO()
    write_embedded(asked, [], sink, form="npy", pooling="mean", layers="last")

    assert np.load(io.BytesIO(sink.getvalue())).shape == (0, asked.model.settings.width)
