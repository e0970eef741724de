"""Tokens read by their characters: convolutions over bytes, the most of each, highways (ELMo).

Section 2.3 of arXiv:1602.02410, whose network ELMo takes: vectors of 16 values for each byte, 32
filters of width 1 and 2 bytes, 64 of width 3, and twice as many for each byte more (at most 1024 of
width 7), the maximum of each over the word, ReLU, two highway layers, and a linear layer to the
model's width. Each different token of a batch is computed once.

A token is spelled as 50 bytes: a start, its UTF-8, an end, and padding; longer ones are cut.
Special tokens have a byte of their own. UTF-8 never holds the bytes that stand for these.

V vocabulary, U different tokens of a batch, C bytes in a spelling, F filters, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lmprep.models.settings import ModelSettings

SPELLING = 50
_BYTE_WIDTH = 16
_HIGHWAYS = 2
_PADDING, _START, _END = 0xFF, 0xFE, 0xFD
_SPECIAL = (0xFC, 0xFB, 0xFA, 0xF9, 0xF8, 0xF7, 0xF6, 0xF5, 0xC1, 0xC0)


class Spelled(nn.Module):
    """Vectors of tokens by their bytes.

    Attributes:
        spellings: uint8 [V, C]. A parameter that is never moved, so that it goes where the weights
            go: into checkpoints and to other devices.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        table = torch.empty(settings.vocabulary_size, SPELLING, dtype=torch.uint8)
        self.spellings = nn.Parameter(table, requires_grad=False)
        self.bytes = nn.Embedding(256, _BYTE_WIDTH)
        counts = [filters_of(width) for width in range(1, settings.filters + 1)]
        self.filters = nn.ModuleList(
            nn.Conv1d(_BYTE_WIDTH, filters, width) for width, filters in enumerate(counts, 1)
        )
        self.highways = nn.ModuleList(Highway(sum(counts)) for _ in range(_HIGHWAYS))
        self.to_width = nn.Linear(sum(counts), settings.width)

    def forward(self, ids_BL: Tensor) -> Tensor:
        """Vectors of tokens: [B, L, D]."""
        ids_U, places_BL = torch.unique(ids_BL, return_inverse=True)
        x_UCE = self.bytes(self.spellings[ids_U.long()].long())
        x_UEC = x_UCE.transpose(1, 2).contiguous()
        x_UF = torch.cat([convolve(x_UEC).amax(-1) for convolve in self.filters], -1).relu()
        for highway in self.highways:
            x_UF = highway(x_UF)
        vectors_UD: Tensor = self.to_width(x_UF)
        return nn.functional.embedding(places_BL, vectors_UD)


def filters_of(width: int) -> int:
    """How many convolutions read so many bytes."""
    return min(1024, max(32, 8 << width))


class Highway(nn.Module):
    """A share of ReLU of a linear layer, and the rest as it came (arXiv:1505.00387)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Linear(width, width)
        self.carry = nn.Linear(width, width)

    def forward(self, x_UF: Tensor) -> Tensor:
        """The same shape."""
        share_UF = torch.sigmoid(self.carry(x_UF))
        mixed: Tensor = share_UF * self.change(x_UF).relu() + (1 - share_UF) * x_UF
        return mixed


def spellings_of(tokens: Mapping[str, int], special: Sequence[int], size: int) -> Tensor:
    """The spellings of a vocabulary: uint8 [size, C].

    Args:
        tokens: their ids.
        special: ids of special tokens, in their order.

    Raises:
        ValueError: there are more special tokens than bytes to spare.
    """
    if len(special) > len(_SPECIAL):
        raise ValueError(
            f"{len(special)} special tokens, of which {len(_SPECIAL)} can be spelled: choose a "
            "model without character convolutions, such as elmo-tiny-tokens"
        )
    table = torch.full((size, SPELLING), _PADDING, dtype=torch.uint8)
    own = dict(zip(special, _SPECIAL, strict=False))
    for token, id in tokens.items():
        written = bytes([own[id]]) if id in own else token.encode()
        spelled = bytes([_START, *written[: SPELLING - 2], _END])
        table[id, : len(spelled)] = torch.frombuffer(bytearray(spelled), dtype=torch.uint8)
    return table
