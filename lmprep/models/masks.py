"""Attention masks, all of them: who may look at whom.

B rows, Q queries, K keys, L positions where they are the same, N heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_PADDING = -1  # the document that padding belongs to


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

    def with_bias(self, bias_NQK: Tensor) -> Mask:
        """The same mask with a bias for the scores of the cells that it leaves."""
        bias_1NQK = bias_NQK[None]
        if self.allowed is None and not self.causal:
            return Mask(allowed=bias_1NQK)
        _, queries, keys = bias_NQK.shape
        cells = self.cells(queries, keys, bias_NQK.device)
        return Mask(allowed=bias_1NQK.masked_fill(~cells, -torch.inf))


def bidirectional_mask(
    length: int, lengths_B: Tensor | None = None, documents_BL: Tensor | None = None
) -> Mask:
    """Every position attends to all of its row, within its document where there are several.

    Args:
        length: L, of the padded rows.
        lengths_B: tokens in each row, at least one (a row that attends to nothing has no softmax);
            None without padding.
        documents_BL: which document of its row a position belongs to, from 0.
    """
    if documents_BL is not None:
        return Mask(allowed=_same_document(documents_BL, lengths_B))
    return padding_mask(length, lengths_B)


def padding_mask(length: int, lengths_B: Tensor | None) -> Mask:
    """Keys within each row's own tokens; also what a decoder sees of its encoder's states."""
    if lengths_B is None:
        return Mask()
    return Mask(allowed=_inside(length, lengths_B)[:, None, None, :])


def causal_mask(
    length: int, documents_BL: Tensor | None = None, prefixes_B: Tensor | None = None
) -> Mask:
    """Position i attends to positions j <= i, itself included, within its document.

    Padding stands on the right, where no token looks: it needs no mask of its own.

    Args:
        documents_BL: which document of its row a position belongs to, from 0.
        prefixes_B: tokens at the front of each row that everything after them and they themselves
            attend to (a prefix language model).
    """
    if documents_BL is None and prefixes_B is None:
        return Mask(causal=True)
    device = next(tensor.device for tensor in (documents_BL, prefixes_B) if tensor is not None)
    allowed = Mask(causal=True).cells(length, length, device)
    if prefixes_B is not None:
        allowed = allowed | _inside(length, prefixes_B)[:, None, None, :]
    if documents_BL is not None:
        allowed = allowed & _same_document(documents_BL, None)
    return Mask(allowed=allowed)


def _inside(length: int, counts_B: Tensor) -> Tensor:
    """The first positions of each row: bool [B, L]."""
    return torch.arange(length, device=counts_B.device) < counts_B[:, None]


def _same_document(documents_BL: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Query and key in one document: bool [B, 1, Q, K]. Padding is a document of its own, so that
    it is not seen and yet attends to something."""
    if lengths_B is not None:
        inside_BL = _inside(documents_BL.shape[1], lengths_B)
        documents_BL = documents_BL.masked_fill(~inside_BL, _PADDING)
    return (documents_BL[:, :, None] == documents_BL[:, None, :])[:, None]
