"""The masks of attention in small, for eyes: made by the code that models use."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lmprep.models.inputs import Documents
from lmprep.models.masks import Mask, bidirectional_mask, causal_mask, packed_mask, padding_mask

LENGTH = 8
"""Positions of the row that is shown."""
_PREFIX, _FIRST, _OWN = 3, 5, 6


@dataclass(frozen=True, kw_only=True)
class ShownMask:
    """One kind of mask.

    Args:
        name: what it is called.
        about: who may look at whom.
        cells: [Q][K], True where query (row) attends to key (column).
    """

    name: str
    about: str
    cells: list[list[bool]]


def shown_masks() -> list[ShownMask]:
    """Every kind, of a row of `LENGTH` positions."""
    documents = Documents(
        offsets_S=torch.tensor([0, _FIRST, LENGTH], dtype=torch.int32), longest=_FIRST
    )
    kinds: list[tuple[str, str, Mask]] = [
        (
            "bidirectional",
            f"every position sees the {_OWN} tokens of its row, not the {LENGTH - _OWN} of padding",
            bidirectional_mask(LENGTH, torch.tensor([_OWN])),
        ),
        ("causal", "each position sees itself and those before it", causal_mask(LENGTH)),
        (
            "prefix",
            f"the first {_PREFIX} positions see one another; the others look back",
            causal_mask(LENGTH, prefixes_B=torch.tensor([_PREFIX])),
        ),
        (
            "packed, bidirectional",
            f"texts of {_FIRST} and {LENGTH - _FIRST} tokens share a row and do not see each other",
            packed_mask(bidirectional_mask(LENGTH), documents, rows=1, length=LENGTH),
        ),
        (
            "packed, causal",
            "the same, each position looking back within its own text",
            packed_mask(causal_mask(LENGTH), documents, rows=1, length=LENGTH),
        ),
        (
            "cross",
            f"a decoder sees the {_OWN} tokens of its encoder's row, and not the padding",
            padding_mask(LENGTH, torch.tensor([_OWN])),
        ),
    ]
    return [
        ShownMask(name=name, about=about, cells=_cells(name, mask)) for name, about, mask in kinds
    ]


def _cells(name: str, mask: Mask) -> list[list[bool]]:
    queries = LENGTH - 3 if name == "cross" else LENGTH  # targets are shorter than inputs
    cells: list[list[bool]] = mask.cells(queries, LENGTH)[0, 0].tolist()
    return cells
