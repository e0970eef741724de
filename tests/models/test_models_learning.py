"""Every model learns: in full precision and under autocast, all of it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lmprep.models.construction import new_model
from lmprep.models.dropout import DropoutKey
from lmprep.models.inputs import Inputs, Outputs
from lmprep.models.language_model import LanguageModel
from lmprep.models.settings import ModelSettings
from tests.models.tiny_models import FAMILIES, VOCABULARY, inputs_for, tiny

PRECISIONS = (torch.float32, torch.bfloat16)


def settings_of(family: str) -> ModelSettings:
    """With every head that the kind can have."""
    encoder = family in ("bert", "roberta")
    return tiny(family, **({"span_boundary": 3} if encoder else {}))


def loss_of(outputs: Outputs) -> Tensor:
    """The sum of all the losses, with some labels or other."""
    generator = torch.Generator().manual_seed(2)
    loss = torch.zeros(())
    for logits in (outputs.logits_MV, outputs.pair_logits_P2, outputs.boundary_logits_SV):
        if logits is not None:
            labels = torch.randint(
                min(VOCABULARY, logits.shape[1]), (len(logits),), generator=generator
            )
            loss = loss + F.cross_entropy(logits.float(), labels)
    return loss


def loss_in(
    precision: torch.dtype, model: LanguageModel, inputs: Inputs, key: DropoutKey | None = None
) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        outputs = model(inputs, key)
    assert outputs.logits_MV.dtype == precision
    return loss_of(outputs)


@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_on_a_batch_lowers_its_loss(family: str, precision: torch.dtype):
    settings = settings_of(family)
    model, inputs = new_model(settings, seed=1), inputs_for(settings)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for step in range(4):
        optimizer.zero_grad()
        loss = loss_in(precision, model, inputs, DropoutKey(seed=1, step=step))
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(loss_in(precision, model, inputs).item())

    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] - 0.05


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_learns(family: str):
    settings = settings_of(family)
    model = new_model(settings, seed=1)
    loss_in(torch.float32, model, inputs_for(settings), DropoutKey(seed=1, step=0)).backward()

    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_key_gives_the_same_gradients_again(family: str):
    settings = settings_of(family)
    gradients = []
    for step in (3, 3, 4):
        model = new_model(settings, seed=1)
        key = DropoutKey(seed=1, step=step)
        loss_in(torch.float32, model, inputs_for(settings), key).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))

    assert torch.equal(gradients[0], gradients[1])
    if settings.dropout:
        assert not torch.equal(gradients[0], gradients[2])


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_gives_nearly_the_same_loss(family: str):
    settings = settings_of(family)
    model, inputs = new_model(settings, seed=1), inputs_for(settings)
    whole, half = (loss_in(precision, model, inputs).item() for precision in PRECISIONS)

    assert half == pytest.approx(whole, rel=0.01)
