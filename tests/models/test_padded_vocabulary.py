"""Rows that only fill the vocabulary's tables up: no probability, no gradient, no trace outside."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from lmprep.models.construction import count_parameters, new_model, outline
from lmprep.models.padded_vocabulary import filled, is_by_token, trimmed
from tests.models.tiny_models import FAMILIES, VOCABULARY, inputs_for, lively, tiny


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_end_with_the_vocabulary_and_do_not_see_what_fills_it_up(family: str):
    settings = tiny(family, span_boundary=5 if family == "bert" else 0)
    model = lively(settings)  # with noise in these rows too
    exact = outline(replace(settings, vocabulary_multiple=1))
    exact.load_state_dict(trimmed(model.state_dict(), settings), assign=True)
    inputs = inputs_for(settings)
    with torch.no_grad():
        outputs, expected = model(inputs), exact(inputs)

    assert outputs.logits_MV.shape == (len(inputs.scored_M), VOCABULARY)
    torch.testing.assert_close(outputs.logits_MV, expected.logits_MV)
    if family == "bert":
        torch.testing.assert_close(outputs.boundary_logits_SV, expected.boundary_logits_SV)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_gradient_reaches_what_fills_the_vocabulary_up(family: str):
    settings = tiny(family, span_boundary=5 if family == "bert" else 0)
    model, inputs = new_model(settings, seed=1), inputs_for(settings)
    outputs = model(inputs)
    loss = F.cross_entropy(outputs.logits_MV, inputs.scored_M % VOCABULARY)
    if outputs.boundary_logits_SV is not None:
        loss = loss + F.cross_entropy(outputs.boundary_logits_SV, torch.tensor([5, 6, 7]))
    loss.backward()

    tables = {name: table for name, table in model.named_parameters() if is_by_token(name)}
    assert tables
    for name, table in tables.items():
        assert table.grad is not None
        assert table.grad[:VOCABULARY].any(), name
        assert not table.grad[VOCABULARY:].any(), name


@pytest.mark.parametrize("family", FAMILIES)
def test_every_table_of_the_vocabulary_is_known(family: str):
    settings = tiny(family, span_boundary=5 if family == "bert" else 0)
    exact = replace(settings, vocabulary_multiple=1)
    rows = {name: len(tensor) for name, tensor in outline(settings).state_dict().items()}
    fewer = {name: len(tensor) for name, tensor in outline(exact).state_dict().items()}

    assert {name for name in rows if rows[name] != fewer[name]} == set(filter(is_by_token, rows))


def test_filling_up_undoes_trimming():
    settings = tiny("bert", span_boundary=5)
    state = new_model(settings, seed=1).state_dict()
    back = filled(trimmed(state, settings), settings)

    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_a_table_of_another_vocabulary_is_refused():
    settings = tiny("gpt2")
    with pytest.raises(ValueError, match=r"decoder.tokens.weight has 96 rows, .* 97 tokens"):
        filled({"decoder.tokens.weight": torch.zeros(96, 32)}, settings)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_fills_the_vocabulary_up_is_not_counted(family: str):
    settings = tiny(family)
    counts = {
        count_parameters(outline(replace(settings, vocabulary_multiple=multiple)))
        for multiple in (1, 8, 64)
    }

    assert len(counts) == 1
