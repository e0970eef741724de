from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lmprep.models.construction import count_parameters, new_model, outline
from lmprep.models.inputs import Inputs
from tests.models.tiny_models import FAMILIES, inputs_for, lively, tiny


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


def test_a_shared_block_is_stored_once():
    names = new_model(tiny("albert", layers=3), seed=1).state_dict().keys()

    assert any(name.startswith("encoder.blocks.0.") for name in names)
    assert not any(name.startswith("encoder.blocks.1.") for name in names)


def test_a_shared_block_is_used_for_every_layer():
    # A model of unshared layers whose weights are all those of the shared one.
    settings = tiny("albert", layers=3)
    shared, apart = lively(settings), lively(replace(settings, shared_layers=False))
    state = shared.state_dict()
    for name, tensor in list(state.items()):
        for layer in (1, 2):
            state[name.replace("blocks.0", f"blocks.{layer}")] = tensor
    apart.load_state_dict(state)
    with torch.no_grad():
        logits = [model(inputs_for(settings)).logits_MV for model in (shared, apart)]

    torch.testing.assert_close(*logits)


@pytest.mark.parametrize("family", ["gpt2", "t5v1.1", "bart"])
def test_factorised_embeddings_lead_to_the_width_and_back(family: str):
    settings = tiny(family, embedding_width=20)
    model = lively(settings)
    stack = model.decoder if family == "gpt2" else model.encoder

    assert stack.tokens.weight.shape == (128, 20)
    assert stack.to_width.weight.shape == (32, 20)
    assert model.next_token_head.from_width.weight.shape == (20, 32)
    assert model(inputs_for(settings)).logits_MV.shape[1] == 97


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
