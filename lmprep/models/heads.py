"""Heads: from hidden states to logits.

B rows, M scored states, S boundary targets, D width, V vocabulary, P width of place vectors.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmprep.models.inputs import Boundaries
from lmprep.models.norms import new_norm
from lmprep.models.settings import ModelSettings

PAIR_CLASSES = 2
PLACE_WIDTH = 200  # SpanBERT's code; the paper gives no number


class MaskedTokenHead(nn.Module):
    """Linear, GELU, norm, then the token embeddings as decoder, with a bias (BERT)."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.transform = nn.Linear(settings.width, settings.width)
        self.norm = new_norm(settings)
        self.bias = nn.Parameter(torch.empty(settings.vocabulary_size))

    def forward(self, hidden_MD: Tensor, embeddings_VD: Tensor) -> Tensor:
        """Logits [M, V]."""
        hidden_MD = self.norm(F.gelu(self.transform(hidden_MD)))
        return F.linear(hidden_MD, embeddings_VD, self.bias)


class TokenHead(nn.Module):
    """The next token's logits: by the token embeddings, or by a matrix of its own."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.scale = settings.width**-0.5 if settings.output == "tied-scaled" else 1.0
        self.weight: nn.Parameter | None = None
        if settings.output == "separate":
            self.weight = nn.Parameter(torch.empty(settings.vocabulary_size, settings.width))

    def forward(self, hidden_MD: Tensor, embeddings_VD: Tensor) -> Tensor:
        """Logits [M, V]."""
        matrix_VD = embeddings_VD if self.weight is None else self.weight
        return F.linear(hidden_MD * self.scale, matrix_VD)


class SpanBoundaryHead(nn.Module):
    """Tokens of a span from the two tokens around it (SpanBERT, arXiv:1907.10529, section 3.2).

    The states of the two boundaries and a learned vector of the place within the span, through
    two layers of linear, GELU and norm; then the token embeddings as decoder, with a bias.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        width = settings.width
        self.places = nn.Embedding(settings.span_boundary, PLACE_WIDTH)
        self.first = nn.Linear(2 * width + PLACE_WIDTH, width)
        self.first_norm = new_norm(settings)
        self.second = nn.Linear(width, width)
        self.second_norm = new_norm(settings)
        self.bias = nn.Parameter(torch.empty(settings.vocabulary_size))

    def forward(self, hidden_BLD: Tensor, boundaries: Boundaries, embeddings_VD: Tensor) -> Tensor:
        """Logits [S, V]."""
        left_SD = states_at(hidden_BLD, boundaries.left_S)
        right_SD = states_at(hidden_BLD, boundaries.right_S)
        places_SP = self.places(boundaries.offset_S)
        x_SD = torch.cat((left_SD, right_SD, places_SP), dim=-1)
        x_SD = self.first_norm(F.gelu(self.first(x_SD)))
        x_SD = self.second_norm(F.gelu(self.second(x_SD)))
        return F.linear(x_SD, embeddings_VD, self.bias)


def states_at(hidden_BLD: Tensor, flat_M: Tensor) -> Tensor:
    """The states [M, D] at `row * L + position`."""
    return hidden_BLD.flatten(0, 1).index_select(0, flat_M)
