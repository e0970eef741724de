"""B rows, Q queries, K keys."""

import pytest
import torch
from torch import Tensor

from lmprep.models.inputs import Documents
from lmprep.models.masks import (
    Mask,
    bidirectional_mask,
    causal_mask,
    packed_mask,
    padding_mask,
    run_numbers,
)


def packed(mask: Mask, *offsets: int) -> Mask:
    """A mask within runs that begin at these places; the last one is the end."""
    documents = Documents(offsets_S=torch.tensor(offsets, dtype=torch.int32), longest=offsets[-1])
    return packed_mask(mask, documents, rows=1, length=offsets[-1])


def live(mask: Mask, length: int = 5) -> list[list[int]]:
    """The first row's cells, 1 where a query (down) attends to a key (across)."""
    return mask.cells(length, length)[0, 0].int().tolist()


@pytest.mark.parametrize(
    ("mask", "cells"),
    [
        (causal_mask(5), 15),
        (bidirectional_mask(5), 25),
        (causal_mask(5, prefixes_B=torch.tensor([3])), 18),
        (packed(bidirectional_mask(5), 0, 2, 5), 13),
    ],
    ids=["causal", "bidirectional", "prefix of 3", "documents of 2 and 3"],
)
def test_the_textbooks_masks_of_five_positions_have_the_textbooks_cells(mask: Mask, cells: int):
    assert mask.cells(5, 5).sum() == cells


def test_causal_attention_includes_the_position_itself():
    assert live(causal_mask(3), 3) == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_a_prefix_sees_itself_both_ways_and_the_rest_looks_back():
    mask = causal_mask(4, prefixes_B=torch.tensor([2]))

    assert live(mask, 4) == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]


def test_packed_documents_do_not_see_one_another():
    assert live(packed(bidirectional_mask(5), 0, 2, 5)) == [
        [1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 1, 1],
        [0, 0, 1, 1, 1],
        [0, 0, 1, 1, 1],
    ]
    assert live(packed(causal_mask(5), 0, 2, 5)) == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 1, 1, 1],
    ]


def test_a_prefix_does_not_reach_into_another_document():
    mask = packed(causal_mask(5, prefixes_B=torch.tensor([4])), 0, 2, 5)

    assert live(mask) == [
        [1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 1, 1, 1],
    ]


def test_a_key_is_attended_to_within_its_own_row_only():
    mask = padding_mask(4, torch.tensor([3, 1]))

    assert mask.allowed is not None
    assert mask.allowed.shape == (2, 1, 1, 4)
    assert mask.allowed[:, 0, 0].int().tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]


def test_runs_end_with_their_row_and_offsets_that_repeat_begin_none():
    offsets = torch.tensor([0, 2, 2, 3, 6, 6], dtype=torch.int32)
    runs_BL = run_numbers(Documents(offsets_S=offsets, longest=3), rows=2, length=3)

    first, second = runs_BL.tolist()
    assert first[0] == first[1] != first[2]
    assert len(set(second)) == 1
    assert set(first).isdisjoint(second)


def test_without_padding_and_documents_torchs_fast_ways_are_open():
    assert bidirectional_mask(5).allowed is None
    assert causal_mask(5).causal


@pytest.mark.parametrize("mask", [causal_mask(3), padding_mask(3, torch.tensor([2, 3]))], ids=str)
def test_a_mask_to_add_is_nothing_where_it_allows_and_minus_infinity_elsewhere(mask: Mask):
    like = torch.zeros(1, dtype=torch.bfloat16)
    added = mask.added(3, 3, like).allowed
    cells = mask.cells(3, 3)

    assert added is not None
    assert added.dtype == torch.bfloat16
    assert torch.equal(added.expand_as(cells) == 0, cells)
    assert torch.equal(added.expand_as(cells) == -torch.inf, ~cells)
    assert Mask().added(3, 3, like).allowed is None


@pytest.mark.parametrize(
    "mask", [Mask(), causal_mask(3), padding_mask(3, torch.tensor([2, 3]))], ids=str
)
def test_a_bias_is_added_where_the_mask_leaves_a_cell(mask: Mask):
    bias_NQK = torch.randn(2, 3, 3)
    biased: Tensor | None = mask.with_bias(bias_NQK).allowed
    cells = mask.cells(3, 3)

    assert biased is not None
    expected = bias_NQK.where(cells, torch.tensor(-torch.inf))
    assert torch.equal(biased.expand_as(expected), expected)
