from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lmprep.models.construction import new_model
from lmprep.models.language_model import LanguageModel
from lmprep.models.settings import ModelSettings, model_settings
from lmprep.pretrain_settings import OPTIMIZERS, PretrainSettings
from lmprep.training.optimizers import Optimizer, peak_learning_rate

SHAPE = ModelSettings(layers=1, width=8, heads=2, vocabulary_size=20, max_length=8)
SETTINGS = PretrainSettings(model="bert-tiny", steps=1, weight_decay=0.5)
# What Muon moves: names end in these.
MATRICES = ("qkv.weight", "query.weight", "kv.weight", "output.weight", "expand.weight",
            "gate.weight", "contract.weight")  # fmt: skip


def settings_of(optimizer: str, **changes: object) -> PretrainSettings:
    usual = {"steps": 1, "weight_decay": 0.5, "precision": "fp32"}
    return PretrainSettings(model="bert-tiny", optimizer=optimizer, **(usual | changes))


def weights_of(model: LanguageModel) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def give_gradients(model: LanguageModel, seed: int | None = None) -> None:
    """Random ones, or ones."""
    generator = torch.Generator().manual_seed(seed or 0)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
        if seed is not None:
            parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_only_matrices_and_embeddings_decay(name):
    model = new_model(SHAPE, seed=0)
    optimizer = Optimizer(model, settings_of(name))
    before = weights_of(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(0.1)

    for name, parameter in model.named_parameters():
        factor = 1 - 0.1 * 0.5 if name.endswith("weight") and "norm" not in name else 1
        torch.testing.assert_close(parameter.detach(), factor * before[name])


def test_a_step_of_adamw_is_that_of_the_paper():
    model = new_model(SHAPE, seed=0)
    changes = {"beta1": 0.5, "beta2": 0.6, "weight_decay": 0.1}
    optimizer = Optimizer(model, settings_of("adamw", **changes))
    name = "encoder.blocks.0.expand.weight"
    weight = model.get_parameter(name).detach().clone().double()
    mean = square = torch.zeros_like(weight)
    for step in (1, 2, 3):
        give_gradients(model, seed=step)
        gradient = model.get_parameter(name).grad.double()
        optimizer.step(0.01 * step)
        mean = 0.5 * mean + 0.5 * gradient
        square = 0.6 * square + 0.4 * gradient**2
        root = (square / (1 - 0.6**step)).sqrt() + 1e-8
        weight = weight * (1 - 0.01 * step * 0.1) - 0.01 * step * mean / (1 - 0.5**step) / root

    found = model.get_parameter(name).detach().double()
    torch.testing.assert_close(found, weight, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("name", "times"), [("t5-tiny", 128**0.5), ("bart-tiny", 1), ("gpt2-tiny", 1), ("bert-tiny", 1)]
)
def test_the_large_embeddings_of_t5_take_larger_steps(name, times):
    model = new_model(model_settings(name, vocabulary_size=20), seed=0)
    optimizer = Optimizer(model, settings_of("adamw", weight_decay=0.0))
    before = weights_of(model)
    give_gradients(model)
    optimizer.step(0.01)

    for name, parameter in model.named_parameters():
        moved = (before[name] - parameter.detach()).mean().item()
        expected = 0.01 * (times if name.endswith("tokens.weight") else 1)
        assert moved == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["bert-tiny", "gpt2-tiny", "t5v1.1-tiny", "bart-tiny"])
def test_muon_moves_the_matrices_of_the_blocks_and_adamw_the_rest(name):
    model = new_model(model_settings(name, vocabulary_size=20, width=8, heads=2), seed=0)
    optimizer = Optimizer(model, settings_of("muon"))
    give_gradients(model)
    optimizer.step(0.01)
    parts = [key.rpartition(".") for key in optimizer.tensors()]
    by_muon = {name for name, _, part in parts if part == "momentum"}
    by_adamw = {name for name, _, part in parts if part == "exp_avg_sq"}

    assert by_muon == {n for n in weights_of(model) if ".blocks." in n and n.endswith(MATRICES)}
    assert by_adamw == set(weights_of(model)) - by_muon


def test_queries_keys_and_values_are_moved_as_the_three_matrices_they_are():
    model = new_model(model_settings("t5-tiny", vocabulary_size=20, width=8, heads=2), seed=0)
    optimizer = Optimizer(model, settings_of("muon", weight_decay=0.0))
    before = weights_of(model)
    give_gradients(model, seed=1)
    optimizer.step(0.01)

    for name, parts in (("encoder.blocks.0.attention.qkv.weight", 3),
                        ("decoder.blocks.1.cross_attention.kv.weight", 2),
                        ("decoder.blocks.1.cross_attention.query.weight", 1)):  # fmt: skip
        moved = before[name] - model.get_parameter(name).detach()
        for part in moved.chunk(parts):
            values = torch.linalg.svdvals(part) / (0.01 * 0.2 * 8**0.5)
            assert values.min() > 0.3
            assert values.max() < 1.2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_to_the_bit_after_the_state_was_stored(name):
    model, other = new_model(SHAPE, seed=0), new_model(SHAPE, seed=0)
    optimizer, settings = Optimizer(model, settings_of(name)), settings_of(name)
    for step in (1, 2):
        give_gradients(model, seed=step)
        optimizer.step(0.01)
    other.load_state_dict(model.state_dict())
    stored = {key: tensor.clone() for key, tensor in optimizer.tensors().items()}
    kept = {key: tensor.clone() for key, tensor in stored.items()}
    restored = Optimizer(other, settings)
    restored.load(stored)

    for step in (3, 4):
        for each, its_optimizer in ((model, optimizer), (other, restored)):
            give_gradients(each, seed=step)
            its_optimizer.step(0.01)
    assert weights_of(model).keys() == weights_of(other).keys()
    assert all(torch.equal(w, weights_of(other)[n]) for n, w in weights_of(model).items())
    mine, theirs = optimizer.tensors(), restored.tensors()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    # What was loaded is the loader's own still.
    assert all(torch.equal(stored[key], kept[key]) for key in kept)


def test_parameters_without_a_gradient_stay_and_have_no_state():
    model = new_model(SHAPE, seed=0)
    frozen, idle = "encoder.blocks.0.expand.weight", "pair_head.weight"
    model.get_parameter(frozen).requires_grad_(False)
    optimizer = Optimizer(model, settings_of("muon"))
    before = weights_of(model)
    give_gradients(model)
    model.get_parameter(idle).grad = None
    optimizer.step(0.1)

    for name in (frozen, idle):
        assert torch.equal(model.get_parameter(name), before[name])
        assert not [key for key in optimizer.tensors() if key.startswith(name)]
    restored = Optimizer(model, settings_of("muon"))
    restored.load(optimizer.tensors())
    assert restored.tensors().keys() == optimizer.tensors().keys()


def test_a_shared_layer_is_moved_once():
    shared = new_model(
        ModelSettings(
            layers=3, width=8, heads=2, vocabulary_size=20, max_length=8, shared_layers=True
        ),
        seed=0,
    )
    optimizer = Optimizer(shared, settings_of("muon"))
    give_gradients(shared)
    optimizer.step(0.01)

    keys = [key for key in optimizer.tensors() if key.endswith("qkv.weight.momentum")]
    assert keys == ["encoder.blocks.0.attention.qkv.weight.momentum"]


def test_gradients_are_dropped():
    model = new_model(SHAPE, seed=0)
    optimizer = Optimizer(model, SETTINGS)
    give_gradients(model)
    optimizer.zero_grad()

    assert all(parameter.grad is None for parameter in model.parameters())


def test_state_that_does_not_belong_is_refused():
    model = new_model(SHAPE, seed=0)
    give_gradients(model)
    adamw, muon = (Optimizer(model, settings_of(name)) for name in OPTIMIZERS)
    adamw.step(0.01)
    state, name = adamw.tensors(), "encoder.blocks.0.expand.weight"

    with pytest.raises(ValueError, match="has no place in this model and optimizer"):
        muon.load(state)
    with pytest.raises(ValueError, match=r"'other\.weight\.step' has no place"):
        adamw.load({"other.weight.step": torch.zeros(())})
    with pytest.raises(ValueError, match=rf"of {name} lacks exp_avg_sq, step"):
        adamw.load({f"{name}.exp_avg": state[f"{name}.exp_avg"]})
    with pytest.raises(ValueError, match=r"has shape \(2, 2\), its parameter \(32, 8\)"):
        adamw.load({f"{name}.exp_avg": torch.zeros(2, 2)})


@pytest.mark.parametrize(("name", "lr"), [("bert-mini", 5e-4), ("bert-base", 1e-4)])
def test_the_default_learning_rate_goes_with_the_size(name, lr):
    shape = model_settings(name, vocabulary_size=100)

    assert peak_learning_rate(PretrainSettings(model=name, steps=1), shape) == lr
    assert peak_learning_rate(PretrainSettings(model=name, steps=1, lr=0.01), shape) == 0.01
