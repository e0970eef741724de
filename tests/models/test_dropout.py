import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmprep.keyed_random import draw
from lmprep.models.dropout import DropoutKey, dropout, keyed_mask

KEY = DropoutKey(seed=11, step=3)


def slow_value(place: int, probability: float, key: np.uint64) -> float:
    """What the docstring says, for one place of a mask."""
    threshold = round(probability * 65536)
    with np.errstate(over="ignore"):
        bits = int(draw(key, place // 4)) >> (16 * (place % 4)) & 0xFFFF
    return 0.0 if bits < threshold else 65536 / (65536 - threshold)


@given(
    count=st.integers(1, 9000),
    probability=st.floats(0, 0.99),
    key=st.integers(0, 2**64 - 1).map(np.uint64),
    data=st.data(),
)
def test_the_kernel_equals_its_slow_twin(
    count: int, probability: float, key: np.uint64, data: st.DataObject
) -> None:
    places = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=20))
    mask = keyed_mask(torch.Size([count]), probability, key)

    expected = [slow_value(place, probability, key) for place in [*places, count - 1]]
    np.testing.assert_allclose(mask.numpy()[[*places, count - 1]], np.array(expected, np.float32))


def test_the_share_of_dropped_values_and_the_mean_are_right() -> None:
    mask = keyed_mask(torch.Size([1000, 1000]), 0.1, KEY.at(0))

    dropped = (mask == 0).double().mean().item()
    assert abs(dropped - 0.1) < 5 * (0.1 * 0.9 / 1e6) ** 0.5  # five standard errors
    assert abs(mask.double().mean().item() - 1) < 5 * (0.1 / 0.9 / 1e6) ** 0.5


def test_sites_steps_and_seeds_draw_different_masks_and_the_same_ones_again() -> None:
    shape = torch.Size([200])
    keys = [
        DropoutKey(seed=seed, step=step).at(site)
        for seed in range(3)
        for step in range(3)
        for site in range(3)
    ]
    masks = [tuple(keyed_mask(shape, 0.5, key).tolist()) for key in keys]

    assert len(set(masks)) == len(masks)
    assert masks[0] == tuple(keyed_mask(shape, 0.5, DropoutKey(seed=0, step=0).at(0)).tolist())


def test_neighbouring_values_and_sites_are_not_correlated() -> None:
    values = keyed_mask(torch.Size([400_000]), 0.5, KEY.at(0)).numpy()
    other = keyed_mask(torch.Size([400_000]), 0.5, KEY.at(1)).numpy()

    for left, right in [(values[:-1], values[1:]), (values[:-4], values[4:]), (values, other)]:
        assert abs(np.corrcoef(left, right)[0, 1]) < 5 / 400_000**0.5  # five standard errors


def test_the_gradient_goes_through_the_same_mask() -> None:
    x = torch.ones(50, 7, requires_grad=True)
    y = dropout(x, 0.3, KEY, 4)
    y.sum().backward()

    assert torch.equal(x.grad, y.detach())
    assert 0 < (y == 0).sum() < y.numel()


def test_without_a_key_or_a_probability_nothing_is_dropped() -> None:
    x = torch.randn(4, 4)

    assert dropout(x, 0.5, None, 0) is x
    assert dropout(x, 0.0, KEY, 0) is x


def test_the_type_is_kept() -> None:
    assert dropout(torch.ones(64, dtype=torch.bfloat16), 0.1, KEY, 0).dtype == torch.bfloat16


@pytest.mark.parametrize("probability", [1.0, 1.5, -0.1])
def test_an_impossible_probability_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="must be from 0 to below 1"):
        keyed_mask(torch.Size([3]), probability, KEY.at(0))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_the_key_of_the_step_fixes_the_masks() -> None:
    x = torch.ones(1000, device="cuda")
    masks = []
    for _ in range(2):
        KEY.seed_device(x.device)
        masks.append(dropout(x, 0.5, KEY, 0))

    assert torch.equal(*masks)
