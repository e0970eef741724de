"""A step does what its settings say.

The slow twin spells out AdamW (arXiv:1711.05101, with torch's correction of the bias).
"""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lmprep.models.construction import new_model as fresh_model
from lmprep.models.inputs import IGNORED, Boundaries, Inputs, Labels
from lmprep.models.language_model import LanguageModel
from lmprep.models.settings import ModelSettings
from lmprep.pretrain_settings import PretrainSettings
from lmprep.training.batch import Batch
from lmprep.training.steps import LOSSES, Updater, forward, targets
from lmprep.training.steps import loss_weights as weights_of

LR = 0.01
EPSILON = 1e-8  # torch's default
SHAPE = ModelSettings(
    layers=1,
    width=16,
    heads=2,
    vocabulary_size=30,
    max_length=8,
    span_boundary=2,
    dropout=0.0,
    attention_dropout=0.0,
)


def new_model(**changes: object) -> LanguageModel:
    """A model whose biases and norms are not at their usual 0 and 1, so that a decay shows."""
    model = fresh_model(replace(SHAPE, **changes), seed=1)
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


def batches(count: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(3)

    def ids(*shape: int) -> Tensor:
        return torch.randint(5, 30, shape, generator=generator)

    return [
        Batch(
            inputs=Inputs(
                ids_BL=ids(3, 8),
                types_BL=(torch.arange(8) >= 4).int().expand(3, 8),
                lengths_B=torch.tensor([8, 5, 7]),
                scored_M=torch.tensor([1, 6, 10, 17, 22]),
                boundaries=Boundaries(
                    left_S=torch.tensor([0, 9, 9]),
                    right_S=torch.tensor([2, 12, 12]),
                    offset_S=torch.tensor([0, 0, 1]),
                ),
                firsts_P=torch.tensor([0, 8, 16]),
            ),
            labels=Labels(tokens_M=ids(5), pairs_P=torch.tensor([0, 1, 1]), boundary_S=ids(3)),
            kinds_M=torch.zeros(5, dtype=torch.int8),
            tokens=20,
        )
        for _ in range(count)
    ]


def take_steps(
    model: LanguageModel, settings: PretrainSettings, steps: list[int], dtype: torch.dtype
) -> tuple[list[list[float]], dict[str, Tensor]]:
    """Steps of these numbers at the rate `LR`: the losses of each, and the optimizer's tensors
    after the last."""
    updater = Updater(model, settings, dtype)
    losses = []
    for batch, step in zip(batches(len(steps)), steps, strict=True):
        found, admitted = updater.update([batch], targets([batch]), step, LR)
        assert admitted
        losses.append([found[name] for name in LOSSES])
    return losses, updater.optimizer.tensors()


def slow_steps(
    model: LanguageModel, settings: PretrainSettings, count: int
) -> tuple[list[list[float]], dict[str, Tensor]]:
    """The twin of `take_steps` without dropout."""
    state = {
        f"{name}.{part}": torch.zeros_like(parameter)
        for name, parameter in model.named_parameters()
        for part in ("exp_avg", "exp_avg_sq")
    }
    losses = []
    for done, batch in enumerate(batches(count), 1):
        outputs = forward(model, batch, torch.float32)
        parts = [
            F.cross_entropy(outputs.logits_MV, batch.labels.tokens_M),
            F.cross_entropy(outputs.pair_logits_P2, batch.labels.pairs_P),
            F.cross_entropy(outputs.boundary_logits_SV, batch.labels.boundary_S),
        ]
        weights = weights_of(settings)[:3]
        loss = sum(weight * part for weight, part in zip(weights, parts, strict=True))
        names, parameters = zip(*model.named_parameters(), strict=True)
        gradients = torch.autograd.grad(loss, parameters)
        norm = sum((g.double() ** 2).sum().item() for g in gradients) ** 0.5
        shrink = min(1.0, settings.clip / norm)
        none = [0.0] * (len(weights_of(settings)) - len(parts))
        losses.append([loss.item(), *(part.item() for part in parts), *none, norm])
        for name, parameter, gradient in zip(names, parameters, gradients, strict=True):
            decays = name.endswith("weight") and "norm" not in name
            mean, square = state[f"{name}.exp_avg"], state[f"{name}.exp_avg_sq"]
            mean += (1 - settings.beta1) * (shrink * gradient - mean)
            square += (1 - settings.beta2) * ((shrink * gradient) ** 2 - square)
            root = (square / (1 - settings.beta2**done)).sqrt() + EPSILON
            parameter.data *= 1 - LR * settings.weight_decay * decays
            parameter.data -= LR * mean / (1 - settings.beta1**done) / root
    return losses, state


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"clip": 0.05},
        {"clip": 1e6},
        {"beta1": 0.5, "beta2": 0.6},
        {"weight_decay": 3.0},
        {"token_weight": 0.25, "pair_weight": 4.0, "boundary_weight": 3.0},
    ],
)
def test_steps_equal_those_of_the_slow_twin(change):
    settings = PretrainSettings(model="bert-tiny", steps=1, **change)
    model, twin = new_model(), new_model()
    losses, state = take_steps(model, settings, [0, 1, 2], torch.float32)
    expected_losses, expected_state = slow_steps(twin, settings, 3)

    torch.testing.assert_close(losses, expected_losses, rtol=1e-5, atol=0)
    for name, tensor in expected_state.items():
        torch.testing.assert_close(state[name], tensor, rtol=1e-3, atol=1e-8)
    for (name, mine), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        if name.endswith("qkv.bias"):
            # A bias of all keys alike changes no softmax: AdamW scales up mere rounding there.
            mine, theirs = (torch.cat((bias[:16], bias[32:])) for bias in (mine, theirs))
        torch.testing.assert_close(mine, theirs, rtol=0, atol=2e-5)


def test_a_long_gradient_is_shortened_to_the_clip_and_reported_as_it_was():
    settings = PretrainSettings(model="bert-tiny", steps=1, clip=0.05)
    [losses], state = take_steps(new_model(), settings, [0], torch.float32)
    means = [t for name, t in state.items() if name.endswith("exp_avg")]

    assert losses[LOSSES.index("grad_norm")] > 1
    taken = sum((mean**2).sum().item() for mean in means) ** 0.5 / (1 - settings.beta1)
    assert taken == pytest.approx(0.05, rel=1e-4)


def test_seed_and_step_decide_the_dropout():
    settings = PretrainSettings(model="bert-tiny", steps=1)
    model = new_model(dropout=0.3)
    other = replace(settings, seed=1)
    first, again, later, seeded = (
        take_steps(copy.deepcopy(model), chosen, [step], torch.float32)[0]
        for chosen, step in ((settings, 0), (settings, 0), (settings, 1), (other, 0))
    )

    assert first == again
    assert len({str(losses) for losses in (first, later, seeded)}) == 3


def test_bf16_rounds_the_logits_and_keeps_weights_and_losses_in_float32():
    settings = PretrainSettings(model="bert-tiny", steps=1)
    model = new_model()
    rough, exact = (
        forward(model, batches(1)[0], d).logits_MV for d in (torch.bfloat16, torch.float32)
    )
    [losses], state = take_steps(model, settings, [0], torch.bfloat16)

    assert rough.dtype == torch.float32
    assert torch.equal(rough, rough.bfloat16().float())
    assert not torch.equal(exact, exact.bfloat16().float())
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.05)
    assert {tensor.dtype for tensor in [*model.parameters(), *state.values()]} == {torch.float32}
    assert losses[0] != torch.tensor(losses[0]).bfloat16().item()


def test_a_loss_is_a_mean_over_all_batches_of_a_step():
    settings = PretrainSettings(model="bert-tiny", steps=1)
    one, two = batches(2)
    short = replace(two, labels=replace(two.labels, tokens_M=two.labels.tokens_M.clone()))
    short.labels.tokens_M[1:] = IGNORED
    counts = targets([one, short])
    model = new_model()
    expected = [
        F.cross_entropy(forward(model, batch, torch.float32).logits_MV, batch.labels.tokens_M,
                        reduction="sum", ignore_index=IGNORED).item()
        for batch in (one, short)
    ]  # fmt: skip
    found, _ = Updater(model, settings, torch.float32).update([one, short], counts, 0, LR)

    assert counts[:3] == [6, 6, 6]
    assert not any(counts[3:])
    assert found["token_loss"] == pytest.approx(sum(expected) / 6, rel=1e-5)


def test_a_step_without_targets_of_a_kind_has_a_loss_of_zero_there():
    [batch] = batches(1)
    labels = replace(batch.labels, pairs_P=None, boundary_S=None)
    inputs = replace(batch.inputs, firsts_P=None, boundaries=None)
    bare = replace(batch, inputs=inputs, labels=labels)
    settings = PretrainSettings(model="bert-tiny", steps=1)
    found, admitted = Updater(new_model(), settings, torch.float32).update(
        [bare], targets([bare]), 0, LR
    )

    assert admitted
    assert targets([bare])[0] == sum(targets([bare])) == 5
    assert (found["pair_loss"], found["boundary_loss"]) == (0, 0)
    assert found["loss"] == found["token_loss"] > 0
