from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lmprep.models.construction import new_model
from lmprep.models.padded_vocabulary import is_by_token, trimmed
from lmprep.models.settings import model_settings
from tests.models.tiny_models import FAMILIES, inputs_for, tiny


def weights(name: str, **changes: Any) -> dict[str, Tensor]:
    settings = model_settings(name, vocabulary_size=4000, **changes)
    parameters = dict(new_model(settings, seed=5).named_parameters())
    return {name: tensor.detach() for name, tensor in trimmed(parameters, settings).items()}


def close(values: Tensor, deviation: float) -> bool:
    """Is the standard deviation, up to five standard errors, that of a normal distribution?"""
    return abs(values.std().item() / deviation - 1) < 5 / math.sqrt(2 * values.numel())


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_follow_the_seed(family: str):
    settings = tiny(family)
    first, same, other = (new_model(settings, seed).state_dict() for seed in (5, 5, 6))

    for name, tensor in first.items():
        assert torch.equal(tensor, same[name])
        if tensor.ndim == 2:
            assert not torch.equal(tensor, other[name]), name


@pytest.mark.parametrize("family", FAMILIES)
def test_biases_are_zero_and_norms_one(family: str):
    for name, tensor in new_model(tiny(family), seed=1).state_dict().items():
        if tensor.ndim == 1:
            assert torch.all(tensor == (1 if "norm.weight" in name else 0)), name


@pytest.mark.parametrize("model", ["bert-tiny", "albert-tiny", "electra-tiny"])
def test_berts_alberts_and_electras_matrices_are_cut_off_at_two_deviations(model: str):
    for name, tensor in weights(model).items():
        if tensor.ndim == 2 and tensor.numel() > 10_000:
            assert tensor.abs().max() <= 0.04
            # A normal distribution cut at two standard deviations keeps 0.8796 of its own.
            assert tensor.std().item() == pytest.approx(0.02 * 0.8796, rel=0.02), name


@pytest.mark.parametrize("name", ["roberta-tiny", "distilbert-tiny", "gpt-tiny", "bart-tiny"])
def test_robertas_distilberts_gpts_and_barts_matrices_are_normal(name: str):
    for place, tensor in weights(name).items():
        if tensor.ndim == 2:
            assert close(tensor, 0.02), place


def test_what_gpt2_adds_to_its_residual_stream_shrinks_with_the_layers():
    for name, tensor in weights("gpt2-mini").items():
        if tensor.ndim == 2:
            residual = "attention.output" in name or "contract" in name
            assert close(tensor, 0.02 / math.sqrt(2 * 4) if residual else 0.02), name


@pytest.mark.parametrize("name", ["t5-mini", "t5v1.1-tiny"])
def test_t5s_matrices_follow_what_they_sum_over(name: str):
    settings = model_settings(name, vocabulary_size=4000)
    width, head, inner = settings.width, settings.head_width, settings.feed_forward
    deviations = {
        "encoder.tokens": 1,
        "relative_positions": width**-0.5,
        "next_token_head": width**-0.5,
        "attention.output": width**-0.5,  # heads * head_width, here the same
        "cross_attention.query": (width * head) ** -0.5,
        "cross_attention.kv": width**-0.5,
        "gate": width**-0.5,
        "expand": width**-0.5,
        "contract": inner**-0.5,
    }
    found = weights(name)
    for place, tensor in found.items():
        if "qkv" in place:
            queries, keys_and_values = tensor[:width], tensor[width:]
            assert close(queries, (width * head) ** -0.5), place
            assert close(keys_and_values, width**-0.5), place
        elif tensor.ndim == 2:
            module = next(module for module in deviations if place.endswith(f"{module}.weight"))
            assert close(tensor, deviations[module]), place
    assert ("next_token_head.weight" in found) == (name == "t5v1.1-tiny")


def test_t5s_factorised_matrices_follow_what_they_sum_over():
    found = weights("t5v1.1-mini", embedding_width=64)

    assert close(found["encoder.to_width.weight"], 64**-0.5)
    assert close(found["next_token_head.from_width.weight"], 256**-0.5)
    assert close(found["next_token_head.weight"], 64**-0.5)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_fills_the_vocabulary_up_is_zero_and_changes_no_weight(family: str):
    settings = tiny(family)  # 97 tokens in 128 rows
    filled = new_model(settings, seed=1).state_dict()
    exact = new_model(replace(settings, vocabulary_multiple=1), seed=1).state_dict()

    for name, tensor in filled.items():
        assert torch.equal(tensor[:97] if is_by_token(name) else tensor, exact[name]), name
        if is_by_token(name):
            assert len(tensor) == 128
            assert not tensor[97:].any(), name


def test_t5s_attention_output_follows_the_width_of_its_heads():
    settings = model_settings("t5-tiny", vocabulary_size=100, head_width=16)
    state = new_model(settings, seed=5).state_dict()

    assert close(state["encoder.blocks.0.attention.output.weight"], 32**-0.5)
    assert close(state["decoder.blocks.1.cross_attention.output.weight"], 32**-0.5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fresh_model_guesses_evenly(family: str):
    settings = tiny(family)
    logits = new_model(settings, seed=1)(inputs_for(settings)).logits_MV

    # A uniform guess costs log V; T5's states and embeddings give logits of deviation one.
    assert abs(logits.logsumexp(-1).mean().item() - math.log(97)) < 0.8
