from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from lmprep.models.dropout import DropoutKey
from lmprep.models.inputs import IGNORED, Inputs, Labels
from lmprep.models.language_model import LanguageModel
from lmprep.models.losses import LOSSES, Losses
from tests.models.tiny_models import FAMILIES, VOCABULARY, inputs_for, lively, tiny


def labels_for(inputs: Inputs) -> Labels:
    """Answers to all that is asked, each fourth of them ignored."""
    generator = torch.Generator().manual_seed(6)

    def drawn(count: int, below: int) -> torch.Tensor:
        labels = torch.randint(below, (count,), generator=generator)
        labels[1::4] = IGNORED
        return labels

    boundaries = inputs.boundaries
    return Labels(
        tokens_M=drawn(len(inputs.scored_M), VOCABULARY),
        pairs_P=None if inputs.firsts_P is None else drawn(len(inputs.firsts_P), 2),
        boundary_S=None if boundaries is None else drawn(len(boundaries.left_S), VOCABULARY),
    )


def plain_losses(model: LanguageModel, inputs: Inputs, labels: Labels) -> torch.Tensor:
    """The same from logits, by torch's own cross-entropy."""
    outputs = model(inputs)
    asked = [
        (outputs.logits_MV, labels.tokens_M),
        (outputs.pair_logits_P2, labels.pairs_P),
        (outputs.boundary_logits_SV, labels.boundary_S),
    ]
    return torch.stack(
        [
            torch.zeros((), dtype=torch.float64)
            if logits is None or answers is None
            else F.cross_entropy(logits, answers, reduction="sum", ignore_index=IGNORED)
            for logits, answers in asked
        ]
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_losses_and_gradients_are_those_of_the_logits(family: str):
    settings = tiny(family, **({"span_boundary": 5} if family == "bert" else {}))
    model, inputs = lively(settings), inputs_for(settings)
    labels, weights = labels_for(inputs), torch.tensor([1.0, 2.0, 3.0])
    expected = plain_losses(model, inputs, labels)
    expected.double().mul(weights).sum().backward()
    gradients = {name: each.grad for name, each in model.named_parameters()}
    model.zero_grad()
    found, others = Losses(model)(inputs, labels).split([3, len(LOSSES) - 3])
    found.mul(weights).sum().backward()

    assert found.dtype == torch.float32
    assert not others.any()
    assert (found > 0).tolist() == [True, inputs.firsts_P is not None, family == "bert"]
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)
    for name, parameter in model.named_parameters():
        # Pairs are judged in single precision.
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-5, atol=1e-6)


def test_nothing_asked_is_no_loss():
    settings = tiny("bert")
    nothing = torch.tensor([], dtype=torch.int64)
    asked = replace(inputs_for(settings), scored_M=nothing, firsts_P=None)
    found = Losses(lively(settings))(asked, Labels(tokens_M=nothing))

    assert found.tolist() == [0] * len(LOSSES)


def test_pairs_are_judged_by_the_tokens_that_are_named():
    settings = tiny("bert")
    model, inputs = lively(settings), inputs_for(settings)
    with torch.no_grad():
        states = model.states(inputs).flatten(0, 1)
        places = torch.tensor([7, 0])
        found = model(replace(inputs, firsts_P=places)).pair_logits_P2
        expected = model.pair_head(torch.tanh(model.encoder.pooler(states[places])))

    torch.testing.assert_close(found, expected)


def test_dropout_comes_with_a_key():
    settings = tiny("bert")
    losses, inputs = Losses(lively(settings)), inputs_for(settings)
    labels = labels_for(inputs)
    with torch.no_grad():
        whole, again, dropped = (
            losses(inputs, labels, key) for key in (None, None, DropoutKey(seed=1, step=1))
        )

    assert torch.equal(whole, again)
    assert not torch.equal(whole, dropped)


# The compiler of torch itself warns when it meets a function with a gradient of its own.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("family", ["bert", "gpt2", "t5", "albert"])
def test_a_compiled_model_is_the_eager_one_and_compiles_once_for_all_steps(family: str):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    settings = tiny(family)
    inputs, losses = replace(inputs_for(settings), lengths_B=None), Losses(lively(settings))
    compiled = torch.compile(losses, backend="aot_eager", fullgraph=True, dynamic=False)
    for step in range(3):
        labels = labels_for(inputs)
        key = DropoutKey(seed=1, step=step, row=3 * step)
        found = []
        for module in (losses, compiled):
            losses.zero_grad()
            loss = module(inputs, labels, key)
            loss.sum().backward()
            found.append([loss.detach(), *[each.grad.clone() for each in losses.parameters()]])
        for eager, other in zip(*found, strict=True):
            torch.testing.assert_close(other, eager, rtol=1e-9, atol=1e-9)

    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
