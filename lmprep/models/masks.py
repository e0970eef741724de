"""Attention masks, all of them: who may look at whom.

B rows, Q queries, K keys, L positions where they are the same, N heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmprep.models.inputs import Documents


@dataclass(frozen=True, kw_only=True, eq=False)
class Mask:
    """Which keys a query attends to; as it stands, all.

    Args:
        allowed: bool, broadcasts against scores_BNQK, True where a query attends to a key; or, of
            a floating dtype, what is added to the scores, minus infinity where it does not.
        causal: position i attends to positions j <= i only, itself included. Never together with
            `allowed`: torch has a fast way for this mask alone.
    """

    allowed: Tensor | None = None
    causal: bool = False

    def __post_init__(self) -> None:
        assert not (self.causal and self.allowed is not None)

    def cells(self, queries: int, keys: int, device: torch.device | None = None) -> Tensor:
        """The mask spelled out: bool [1 or B, 1, Q, K], True where a query attends to a key."""
        everything = torch.ones(1, 1, queries, keys, dtype=torch.bool, device=device)
        if self.causal:
            return everything.tril()
        return everything if self.allowed is None else everything & self.allowed

    def added(self, queries: int, keys: int, like: Tensor) -> Mask:
        """The same mask as something to add to scores, of the dtype and on the device of `like`;
        one that allows all stays as it is."""
        if self.allowed is not None and self.allowed.is_floating_point():
            return Mask(allowed=self.allowed.to(like.dtype))
        if self.allowed is None and not self.causal:
            return self
        allowed = self.cells(queries, keys, like.device) if self.allowed is None else self.allowed
        zeros = like.new_zeros(allowed.shape)
        return Mask(allowed=zeros.masked_fill(~allowed, -torch.inf))

    def with_bias(self, bias_NQK: Tensor) -> Mask:
        """The same mask with a bias for the scores of the cells that it leaves."""
        bias_1NQK = bias_NQK[None]
        if self.allowed is None and not self.causal:
            return Mask(allowed=bias_1NQK)
        _, queries, keys = bias_NQK.shape
        cells = self.cells(queries, keys, bias_NQK.device)
        return Mask(allowed=bias_1NQK.masked_fill(~cells, -torch.inf))


def bidirectional_mask(length: int, lengths_B: Tensor | None = None) -> Mask:
    """Every position attends to all of its row.

    Args:
        length: L, of the padded rows.
        lengths_B: tokens in each row, at least one (a row that attends to nothing has no softmax);
            None without padding.
    """
    return padding_mask(length, lengths_B)


def padding_mask(length: int, lengths_B: Tensor | None) -> Mask:
    """Keys within each row's own tokens; also what a decoder sees of its encoder's states."""
    if lengths_B is None:
        return Mask()
    return Mask(allowed=_inside(length, lengths_B)[:, None, None, :])


def causal_mask(length: int, prefixes_B: Tensor | None = None) -> Mask:
    """Position i attends to positions j <= i, itself included.

    Padding stands on the right, where no token looks: it needs no mask of its own.

    Args:
        length: L, of the padded rows.
        prefixes_B: tokens at the front of each row that everything after them and they themselves
            attend to (a prefix language model).
    """
    if prefixes_B is None:
        return Mask(causal=True)
    allowed = Mask(causal=True).cells(length, length, prefixes_B.device)
    return Mask(allowed=allowed | _inside(length, prefixes_B)[:, None, None, :])


def packed_mask(mask: Mask, documents: Documents, rows: int, length: int) -> Mask:
    """What a mask allows, within each run of positions only.

    Args:
        mask: of rows without documents.
        documents: the runs of the batch.
        rows, length: B and L.
    """
    same_B1LL = same_run(documents, rows, length)
    return Mask(allowed=same_B1LL & mask.cells(length, length, same_B1LL.device))


def same_run(documents: Documents, rows: int, length: int) -> Tensor:
    """Are query and key in one run of positions? bool [B, 1, L, L]."""
    runs_BL = run_numbers(documents, rows, length)
    return (runs_BL[:, :, None] == runs_BL[:, None, :])[:, None]


def run_numbers(documents: Documents, rows: int, length: int) -> Tensor:
    """The run that each position belongs to, rising: int64 [B, L]."""
    offsets_S = documents.offsets_S
    flat = torch.arange(rows * length, device=offsets_S.device, dtype=offsets_S.dtype)
    return torch.searchsorted(offsets_S, flat, right=True).view(rows, length)


def _inside(length: int, counts_B: Tensor) -> Tensor:
    """The first positions of each row: bool [B, L]."""
    return torch.arange(length, device=counts_B.device) < counts_B[:, None]
