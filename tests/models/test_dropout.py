import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lmprep.keyed_random import draw, key_for, sub_keys
from lmprep.models.dropout import Dropout, DropoutKey, dropout, keyed_mask

KEY = DropoutKey(seed=11, step=3)


def mask_of(key: DropoutKey, shape: tuple[int, ...], probability: float, site: int = 0) -> Tensor:
    return keyed_mask(key.numbers, site, probability, shape, torch.float32)


def slow_value(place: int, probability: float, site: int, seed: int, step: int) -> float:
    """What the docstring says, for one place of the mask of a step."""
    key = sub_keys(key_for(seed, "dropout", copy=step), np.array([site]))[0]
    threshold = round(probability * 65536)
    with np.errstate(over="ignore"):
        bits = int(draw(key, place // 4)) >> (16 * (place % 4)) & 0xFFFF
    return 0.0 if bits < threshold else 65536 / (65536 - threshold)


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3000)),
    probability=st.floats(0, 0.99),
    site=st.integers(0, 200),
    row=st.integers(0, 100),
    data=st.data(),
)
def test_the_kernel_equals_its_slow_twin(
    shape: tuple[int, int], probability: float, site: int, row: int, data: st.DataObject
) -> None:
    count = shape[0] * shape[1]
    places = [*data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=20)), count - 1]
    mask = mask_of(DropoutKey(seed=2, step=5, row=row), shape, probability, site).flatten()

    first = row * shape[1]
    expected = [slow_value(first + place, probability, site, 2, 5) for place in places]
    np.testing.assert_allclose(mask.numpy()[places], np.array(expected, np.float32))


@given(
    rows=st.integers(1, 9),
    rest=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    data=st.data(),
)
def test_a_part_of_a_step_has_its_rows_of_the_whole_mask(
    rows: int, rest: list[int], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, rows - 1))
    last = data.draw(st.integers(first, rows))
    whole = mask_of(KEY, (rows, *rest), 0.4)
    part = mask_of(DropoutKey(seed=11, step=3, row=first), (last - first, *rest), 0.4)

    assert torch.equal(part, whole[first:last])


def test_lines_begin_at_the_values_they_are_given() -> None:
    whole = mask_of(KEY, (1000,), 0.4)
    starts = torch.tensor([[7, 900], [0, 7]])
    lines = keyed_mask(KEY.numbers, 0, 0.4, (2, 2, 60), torch.float32, starts)

    for place, start in zip(lines.flatten(0, 1), starts.flatten().tolist(), strict=True):
        assert torch.equal(place, whole[start : start + 60])


def test_a_block_that_is_used_again_drops_at_other_places() -> None:
    x, place = torch.ones(200), Dropout(0.5, iter([3]))

    assert not torch.equal(place(x, KEY), place(x, KEY.shifted(4)))
    assert torch.equal(place(x, KEY.shifted(4)), dropout(x, 0.5, KEY, 7))
    assert torch.equal(place(x, KEY.shifted(1).shifted(3)), dropout(x, 0.5, KEY, 7))


def test_the_share_of_dropped_values_and_the_mean_are_right() -> None:
    mask = mask_of(KEY, (1000, 1000), 0.1)

    dropped = (mask == 0).double().mean().item()
    assert abs(dropped - 0.1) < 5 * (0.1 * 0.9 / 1e6) ** 0.5  # five standard errors
    assert abs(mask.double().mean().item() - 1) < 5 * (0.1 / 0.9 / 1e6) ** 0.5


def test_sites_steps_and_seeds_draw_different_masks_and_the_same_ones_again() -> None:
    masks = [
        tuple(mask_of(DropoutKey(seed=seed, step=step, row=row), (1, 200), 0.5, site)[0].tolist())
        for seed in range(3)
        for step in range(3)
        for site in range(3)
        for row in range(3)
    ]

    assert len(set(masks)) == len(masks)
    assert masks[0] == tuple(mask_of(DropoutKey(seed=0, step=0), (1, 200), 0.5)[0].tolist())


def test_neighbouring_values_and_sites_are_not_correlated() -> None:
    values = mask_of(KEY, (400_000,), 0.5).numpy()
    other = mask_of(KEY, (400_000,), 0.5, site=1).numpy()

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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_type_has_the_same_mask(dtype: torch.dtype) -> None:
    dropped = dropout(torch.ones(64, dtype=dtype), 0.1, KEY, 0)

    assert dropped.dtype == dtype
    torch.testing.assert_close(dropped, mask_of(KEY, (64,), 0.1).to(dtype))


@pytest.mark.parametrize("probability", [1.0, 1.5, -0.1])
def test_an_impossible_probability_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="must be from 0 to below 1"):
        mask_of(KEY, (3,), probability)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_the_key_of_the_step_fixes_the_masks() -> None:
    x = torch.ones(1000, device="cuda")
    masks = []
    for key in (KEY, KEY, DropoutKey(seed=11, step=3, row=1)):
        key.seed_device(x.device)
        masks.append(dropout(x, 0.5, key, 0))

    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
