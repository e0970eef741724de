from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lmprep.models.positions import RelativePositions, relative_buckets


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
