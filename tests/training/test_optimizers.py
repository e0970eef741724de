import pytest
import torch

from lmprep.models.construction import new_model
from lmprep.models.settings import ModelSettings, model_settings
from lmprep.settings import PretrainSettings
from lmprep.training.optimizers import (
    load_optimizer_tensors,
    new_optimizer,
    optimizer_tensors,
    peak_learning_rate,
    set_learning_rate,
)

SHAPE = ModelSettings(layers=1, width=8, heads=2, vocabulary_size=20, max_length=8)
SETTINGS = PretrainSettings(model="bert-tiny", steps=1, weight_decay=0.5)


def test_only_matrices_and_embeddings_decay():
    model = new_model(SHAPE, seed=0)
    optimizer = new_optimizer(model, SETTINGS)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    set_learning_rate(optimizer, 0.1)
    optimizer.step()

    for name, parameter in model.named_parameters():
        factor = 1 - 0.1 * 0.5 if name.endswith("weight") and "norm" not in name else 1
        torch.testing.assert_close(parameter.detach(), factor * before[name])


@pytest.mark.parametrize(
    ("name", "times"), [("t5-tiny", 128**0.5), ("bart-tiny", 1), ("gpt2-tiny", 1), ("bert-tiny", 1)]
)
def test_the_large_embeddings_of_t5_take_larger_steps(name, times):
    model = new_model(model_settings(name, vocabulary_size=20), seed=0)
    settings = PretrainSettings(model=name, steps=1, weight_decay=0.0)
    optimizer = new_optimizer(model, settings)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    set_learning_rate(optimizer, 0.01)
    optimizer.step()

    for name, parameter in model.named_parameters():
        moved = (before[name] - parameter.detach()).mean().item()
        expected = 0.01 * (times if name.endswith("tokens.weight") else 1)
        assert moved == pytest.approx(expected, rel=1e-4)


def test_the_state_survives_being_stored():
    model, other = new_model(SHAPE, seed=0), new_model(SHAPE, seed=0)
    optimizer, restored = new_optimizer(model, SETTINGS), new_optimizer(other, SETTINGS)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    load_optimizer_tensors(other, restored, optimizer_tensors(model, optimizer))

    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        state = optimizer.state[mine]
        assert state["step"] == 1
        assert all(torch.equal(state[k], restored.state[theirs][k]) for k in state)


@pytest.mark.parametrize(("name", "lr"), [("bert-mini", 5e-4), ("bert-base", 1e-4)])
def test_the_default_learning_rate_goes_with_the_size(name, lr):
    shape = model_settings(name, vocabulary_size=100)

    assert peak_learning_rate(PretrainSettings(model=name, steps=1), shape) == lr
    assert peak_learning_rate(PretrainSettings(model=name, steps=1, lr=0.01), shape) == 0.01
