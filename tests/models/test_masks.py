import torch

from lmprep.models.masks import padding_mask


def test_a_key_is_attended_to_within_its_own_row_only() -> None:
    mask = padding_mask(torch.tensor([3, 1]), 4)

    assert mask.shape == (2, 1, 1, 4)
    assert mask[:, 0, 0].tolist() == [[True, True, True, False], [True, False, False, False]]
