"""M scored states, V vocabulary, D width."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from lmprep.models.heads import SpanBoundaryHead, states_at
from lmprep.models.inputs import Boundaries, Inputs
from tests.models.tiny_models import (
    DECODERS,
    ENCODER_DECODERS,
    FAMILIES,
    VOCABULARY,
    inputs_for,
    lively,
    random_ids,
    tiny,
)


def football(hidden_BLD: torch.Tensor, moved_place: int | None = None) -> torch.Tensor:
    """SpanBERT's figure: x5 to x8 of x1 to x12 are masked ("an American football game"), and
    "football" = x7 is predicted from x4, x9 and p3.

    Args:
        moved_place: p whose vector is another one, from 1.
    """
    head = lively(tiny("bert", span_boundary=10)).span_boundary_head
    boundaries = Boundaries(
        left_S=torch.tensor([3]), right_S=torch.tensor([8]), offset_S=torch.tensor([2])
    )
    with torch.no_grad():
        if moved_place is not None:
            head.places.weight[moved_place - 1] += 1 + torch.arange(200)
        return head(
            hidden_BLD, boundaries, torch.eye(len(head.bias), 32, dtype=torch.float64)
        ).logits()


def test_a_token_in_a_span_is_predicted_from_its_boundaries_and_its_place_alone():
    hidden = torch.randn(1, 12, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logits = football(hidden)

    for place in range(12):
        changed = hidden.clone()
        changed[0, place] += 1 + torch.arange(32)
        assert torch.equal(football(changed), logits) == (place not in (3, 8))
    swapped = hidden.clone()
    swapped[0, [3, 8]] = hidden[0, [8, 3]]
    assert not torch.allclose(football(swapped), logits)  # left and right are told apart
    for p in range(1, 11):
        assert torch.equal(football(hidden, moved_place=p), logits) == (p != 3)


def test_the_span_boundary_head_is_the_papers():
    head = SpanBoundaryHead(tiny("bert", span_boundary=4)).double()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn_like(parameter))
        hidden, embeddings = torch.randn(2, 6, 32).double(), torch.randn(128, 32).double()
        boundaries = Boundaries(
            left_S=torch.tensor([0, 6]), right_S=torch.tensor([3, 9]), offset_S=torch.tensor([1, 0])
        )
        logits = head(hidden, boundaries, embeddings).logits()
        for row, offset in ((0, 1), (1, 0)):
            # h = norm(gelu(W1 [x_left; x_right; p])), y = norm(gelu(W2 h)): section 3.2.
            x = torch.cat((hidden[row, 0], hidden[row, 3], head.places.weight[offset]))
            h = head.first_norm(F.gelu(head.first.weight @ x + head.first.bias))
            y = head.second_norm(F.gelu(head.second.weight @ h + head.second.bias))
            torch.testing.assert_close(logits[row], (embeddings @ y + head.bias)[:VOCABULARY])

    assert head.places.weight.shape == (4, 200)


def test_a_model_has_the_span_boundary_head_only_when_asked():
    without, settings = lively(tiny("bert")), tiny("bert", span_boundary=10)
    boundaries = inputs_for(settings).boundaries

    assert not any("boundary" in name for name, _ in without.named_parameters())
    with pytest.raises(ValueError, match="give it a span_boundary of 20"):
        without(replace(inputs_for(settings), boundaries=boundaries))
    assert lively(settings)(inputs_for(settings)).boundary_logits_SV.shape == (3, VOCABULARY)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_made_for_the_scored_states_only(family: str):
    settings = tiny(family)
    model, inputs = lively(settings), inputs_for(settings)
    chosen = torch.tensor([17, 3, 3])  # in any order, and repeated
    with torch.no_grad():
        some = model(replace(inputs, scored_M=inputs.scored_M[chosen])).logits_MV
        every = model(inputs).logits_MV
        none = model(replace(inputs, scored_M=inputs.scored_M[:0])).logits_MV

    torch.testing.assert_close(some, every[chosen])
    assert none.shape == (0, VOCABULARY)


@pytest.mark.parametrize(
    ("family", "scale"), [("gpt2", 1.0), ("t5", 32**-0.5), ("t5v1.1", 1.0), ("bart", 1.0)]
)
def test_next_token_logits_are_states_times_a_matrix(family: str, scale: float):
    settings = tiny(family)
    model, inputs = lively(settings), inputs_for(settings)
    tokens = (model.decoder if family == "gpt2" else model.encoder).tokens.weight
    matrix_VD = model.next_token_head.weight if family == "t5v1.1" else tokens
    with torch.no_grad():
        states_MD = states_at(model.states(inputs), inputs.scored_M)
        logits_MV = scale * states_MD @ matrix_VD[:VOCABULARY].T
        torch.testing.assert_close(model(inputs).logits_MV, logits_MV)


def test_pair_logits_come_when_asked_for():
    settings = tiny("bert")
    inputs = inputs_for(settings)
    model = lively(settings)

    assert model(inputs).pair_logits_P2.shape == (3, 2)
    assert model(replace(inputs, firsts_P=None)).pair_logits_P2 is None


def test_a_model_without_a_pooler_has_no_head_for_pairs():
    model, inputs = lively(tiny("distilbert")), inputs_for(tiny("bert"))

    assert not any("pool" in name or "pair" in name for name, _ in model.named_parameters())
    with pytest.raises(ValueError, match="no head for them: give it pooler = true"):
        model(inputs)


def with_extra(family: str, **extra: object) -> Inputs:
    return replace(inputs_for(tiny(family)), **extra)


@pytest.mark.parametrize(
    ("family", "extra"),
    [
        *[("bert", name) for name in ("decoder_ids_BK", "prefixes_B")],
        *[(family, name) for family in DECODERS for name in ("decoder_ids_BK", "firsts_P")],
        *[
            (family, name)
            for family in ENCODER_DECODERS
            for name in ("documents", "prefixes_B", "firsts_P")
        ],
    ],
)
def test_inputs_that_a_model_has_no_use_for_are_refused(family: str, extra: str):
    with pytest.raises(
        ValueError, match=f"{extra} is given, for which a model of kind .* has no use: leave it out"
    ):
        lively(tiny(family))(with_extra(family, **{extra: random_ids()}))


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_an_encoder_decoder_needs_the_labels(family: str):
    with pytest.raises(ValueError, match="needs decoder_ids_BK: the labels, shifted right"):
        lively(tiny(family))(with_extra(family, decoder_ids_BK=None))


@pytest.mark.parametrize("family", ["bert", "gpt2", "bart"])
def test_rows_beyond_the_learned_positions_are_refused(family: str):
    with pytest.raises(ValueError, match="24 positions, of which the model has 23"):
        lively(tiny(family, max_length=23))(inputs_for(tiny(family)))


def test_relative_positions_take_rows_of_any_length():
    settings = tiny("t5", max_length=8)

    assert lively(settings)(inputs_for(settings)).logits_MV.isfinite().all()
