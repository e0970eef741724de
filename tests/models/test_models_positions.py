from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lmprep.models.attention import Memory
from lmprep.models.masks import Mask
from lmprep.models.positions import RelativePositions, relative_buckets, rotation, sinusoids
from tests.models.tiny_models import lively, tiny


def slow_bucket(distance: int, *, causal: bool) -> int:
    """The bucket of one distance, from the paper's description."""
    buckets, first = (32, 0) if causal else (16, 16 if distance > 0 else 0)
    distance = max(-distance, 0) if causal else abs(distance)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    share = np.float32(math.log(distance / exact)) / np.float32(math.log(128 / exact))
    return first + min(exact + int(share * np.float32(exact)), buckets - 1)


@pytest.mark.parametrize("causal", [False, True])
def test_buckets_equal_their_slow_twin(causal: bool):
    distances = torch.arange(-600, 601)
    expected = [slow_bucket(int(distance), causal=causal) for distance in distances]

    assert relative_buckets(distances, causal=causal).tolist() == expected


@pytest.mark.parametrize("causal", [False, True])
def test_buckets_equal_those_of_transformers(causal: bool):
    modeling = pytest.importorskip("transformers.models.t5.modeling_t5")
    distances = torch.arange(-2000, 2001)
    expected = modeling.T5Attention._relative_position_bucket(distances, not causal, 32, 128)

    assert torch.equal(relative_buckets(distances, causal=causal), expected)


def test_buckets_by_hand():
    both = relative_buckets(torch.tensor([-200, -8, -1, 0, 1, 7, 8, 200]), causal=False)
    back = relative_buckets(torch.tensor([-200, -16, -15, -1, 0, 3]), causal=True)

    assert both.tolist() == [15, 8, 1, 0, 17, 23, 24, 31]
    assert back.tolist() == [31, 16, 15, 1, 0, 0]


def test_a_bias_belongs_to_a_head_and_a_distance():
    positions = RelativePositions(heads=3, causal=False)
    with torch.no_grad():
        positions.weight.copy_(torch.arange(96.0).view(32, 3))
        bias_NQK = positions(4, 4)

    assert bias_NQK.shape == (3, 4, 4)
    assert bias_NQK[2, 0, 3] == positions.weight[19, 2]  # three after the query
    assert bias_NQK[1, 3, 0] == positions.weight[3, 1]  # three before it


def test_biases_by_distance_lie_on_diagonals():
    positions = RelativePositions(heads=2, causal=False)
    with torch.no_grad():
        positions.weight.copy_(torch.arange(64.0).view(32, 2))
        square = positions(7, 9)
        for query in range(7):
            for key in range(9):
                bucket = slow_bucket(key - query, causal=False)
                assert torch.equal(square[:, query, key], positions.weight[bucket])


def test_sines_of_positions_are_the_papers_formula():
    vectors = sinusoids(40, 6)

    for position in (0, 1, 39):
        for i in range(3):
            angle = position / 10_000 ** (2 * i / 6)
            assert vectors[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert vectors[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_sines_of_positions_equal_distilberts():
    modeling = pytest.importorskip("transformers.models.distilbert.modeling_distilbert")
    expected = torch.empty(300, 64)
    modeling.create_sinusoidal_embeddings(300, 64, expected)

    torch.testing.assert_close(sinusoids(300, 64), expected, atol=3e-5, rtol=0)


def turned(x_H: torch.Tensor, position: int) -> torch.Tensor:
    """A query of one head at a place."""
    place = rotation(torch.tensor([[position]]), len(x_H))
    return place.turned(x_H.view(1, 1, 1, 1, -1).expand(1, 1, 3, 1, -1))[0, 0, 0, 0]


def test_a_pair_is_turned_by_its_angle():
    # Column i and column 4 + i of a head of 8 are the two sides of pair i.
    x_H = torch.arange(1.0, 9)
    for i in range(4):
        angle = 5 / 10_000 ** (2 * i / 8)
        first, second = x_H[i].item(), x_H[4 + i].item()
        found = turned(x_H, 5)
        expected = first * math.cos(angle) - second * math.sin(angle)
        assert found[i].item() == pytest.approx(expected, abs=1e-4)
        expected = first * math.sin(angle) + second * math.cos(angle)
        assert found[4 + i].item() == pytest.approx(expected, abs=1e-4)


def test_products_of_turned_queries_and_keys_depend_on_distances():
    q_H, k_H = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))

    near = turned(q_H, 3) @ turned(k_H, 7)
    torch.testing.assert_close(turned(q_H, 103) @ turned(k_H, 107), near, atol=1e-4, rtol=0)
    assert abs(turned(q_H, 3) @ turned(k_H, 8) - near) > 1e-2


def test_rotation_equals_that_of_transformers():
    modeling = pytest.importorskip("transformers.models.llama.modeling_llama")
    x_BLCNH = torch.randn(2, 9, 3, 4, 8, generator=torch.Generator().manual_seed(2))
    place = rotation(torch.arange(9)[None].expand(2, 9) + torch.tensor([[0], [5]]), 8)
    q, k = x_BLCNH[:, :, 0].transpose(1, 2), x_BLCNH[:, :, 1].transpose(1, 2)
    expected = modeling.apply_rotary_pos_emb(q, k, place.cos_BLH, place.sin_BLH)
    found = place.turned(x_BLCNH)

    for part, other in enumerate(expected):
        torch.testing.assert_close(found[:, :, part].transpose(1, 2), other)


def test_values_are_not_turned():
    x_BLCNH = torch.randn(1, 9, 3, 4, 8)

    assert torch.equal(
        rotation(torch.arange(9)[None], 8).turned(x_BLCNH)[:, :, 2], x_BLCNH[:, :, 2]
    )


def test_cross_attention_knows_no_places():
    model = lively(tiny("bart", positions="rotary", layers=1))
    attention = model.decoder.blocks[0].cross_attention
    x_BQD, states_BKD = torch.randn(2, 1, 6, 32, dtype=torch.float64)
    order = torch.randperm(6)
    with torch.no_grad():
        found = attention(x_BQD, Memory(states_BKD=states_BKD, mask=Mask()), None)
        mixed = attention(x_BQD, Memory(states_BKD=states_BKD[:, order], mask=Mask()), None)

    torch.testing.assert_close(mixed, found)
