from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lmprep.models.construction import count_parameters, new_model, outline
from lmprep.models.inputs import Inputs
from tests.models.tiny_models import FAMILIES, inputs_for, tiny


@pytest.mark.parametrize("family", FAMILIES)
def test_an_outline_takes_the_weights_of_a_model(family: str):
    settings = tiny(family)
    model, empty = new_model(settings, seed=1), outline(settings)

    assert all(parameter.is_meta for parameter in empty.parameters())
    assert empty.device.type == "meta"
    empty.load_state_dict(model.state_dict(), assign=True)
    assert empty.device.type == "cpu"
    assert count_parameters(empty) == count_parameters(model)


def test_no_tensor_is_stored_twice():
    # Checkpoints refuse tensors that share memory.
    for family in FAMILIES:
        tensors = list(new_model(tiny(family), seed=1).state_dict().values())
        assert len({tensor.data_ptr() for tensor in tensors}) == len(tensors)


def test_berts_tensors_keep_their_names():
    # Runs of every version stay loadable.
    layer = "encoder.blocks.0."
    modules = {
        "encoder.norm", "encoder.pooler", "masked_token_head.transform", "masked_token_head.norm",
        "pair_head", f"{layer}attention.qkv", f"{layer}attention.output", f"{layer}attention_norm",
        f"{layer}expand", f"{layer}contract", f"{layer}feed_forward_norm",
    }  # fmt: skip
    tables = {"encoder.tokens.weight", "encoder.positions.weight", "encoder.types.weight"}
    expected = {f"{module}.{part}" for module in modules for part in ("weight", "bias")}

    state = new_model(tiny("bert", layers=1), seed=1).state_dict()
    assert set(state) == expected | tables | {"masked_token_head.bias"}
    assert state["encoder.blocks.0.attention.qkv.weight"].shape == (3 * 32, 32)


def with_types() -> list[Inputs]:
    """The same inputs with token types and with none given."""
    inputs = inputs_for(tiny("bert"))
    return [inputs, replace(inputs, types_BL=None)]


def test_fewer_than_two_token_types_are_not_told_apart():
    for types in (0, 1):
        model = new_model(tiny("bert", types=types), seed=1)
        assert hasattr(model.encoder, "types") == (types == 1)
        with torch.no_grad():
            states = [model.states(inputs) for inputs in with_types()]
        assert torch.equal(*states)


def test_two_token_types_are():
    with torch.no_grad():
        model = new_model(tiny("bert"), seed=1)
        assert not torch.equal(*[model.states(inputs) for inputs in with_types()])
