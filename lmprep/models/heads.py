"""Heads: from hidden states to what logits are made of.

B rows, M scored states, S boundary targets, D width, E width of the embeddings, V vocabulary, R its
padded rows, P width of place vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lmprep.models.activations import activation
from lmprep.models.cross_entropy import Projection
from lmprep.models.inputs import Boundaries
from lmprep.models.norms import new_norm
from lmprep.models.settings import ModelSettings

PAIR_CLASSES = 2
PLACE_WIDTH = 200  # SpanBERT's code; the paper gives no number


class MaskedTokenHead(nn.Module):
    """Linear, activation, norm, then the token embeddings as decoder, with a bias (BERT).

    The linear layer leads to the width of the embeddings, as in ALBERT and ELECTRA's generator.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.vocabulary_size = settings.vocabulary_size
        self.activation, _ = activation(settings)
        self.transform = nn.Linear(settings.width, settings.embedding_width)
        self.norm = new_norm(settings, settings.embedding_width)
        self.bias = nn.Parameter(torch.empty(settings.vocabulary_rows))

    def forward(self, hidden_MD: Tensor, embeddings_RE: Tensor) -> Projection:
        """To logits [M, V]."""
        states_ME = self.norm(self.activation(self.transform(hidden_MD)))
        return Projection(
            states_MD=states_ME,
            matrix_VD=embeddings_RE,
            bias_V=self.bias,
            size=self.vocabulary_size,
        )


class TokenHead(nn.Module):
    """The next token's logits: by the token embeddings, or by a matrix of its own."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.vocabulary_size = settings.vocabulary_size
        self.scale = settings.width**-0.5 if settings.output == "tied-scaled" else 1.0
        if settings.factorised:
            self.from_width = nn.Linear(settings.width, settings.embedding_width)
        self.weight: nn.Parameter | None = None
        if settings.output == "separate":
            shape = (settings.vocabulary_rows, settings.embedding_width)
            self.weight = nn.Parameter(torch.empty(shape))

    def forward(self, hidden_MD: Tensor, embeddings_RE: Tensor) -> Projection:
        """To logits [M, V]."""
        states_ME = hidden_MD if self.scale == 1 else hidden_MD * self.scale
        if hasattr(self, "from_width"):
            states_ME = self.from_width(states_ME)
        matrix_RE = embeddings_RE if self.weight is None else self.weight
        return Projection(states_MD=states_ME, matrix_VD=matrix_RE, size=self.vocabulary_size)


class SpanBoundaryHead(nn.Module):
    """Tokens of a span from the two tokens around it (SpanBERT, arXiv:1907.10529, section 3.2).

    The states of the two boundaries and a learned vector of the place within the span, through
    two layers of linear, activation and norm (GELU in the paper), the second to the width of the
    embeddings; then the token embeddings as decoder, with a bias.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        width, embedding_width = settings.width, settings.embedding_width
        self.vocabulary_size = settings.vocabulary_size
        self.activation, _ = activation(settings)
        self.places = nn.Embedding(settings.span_boundary, PLACE_WIDTH)
        self.first = nn.Linear(2 * width + PLACE_WIDTH, width)
        self.first_norm = new_norm(settings)
        self.second = nn.Linear(width, embedding_width)
        self.second_norm = new_norm(settings, embedding_width)
        self.bias = nn.Parameter(torch.empty(settings.vocabulary_rows))

    def forward(
        self, hidden_BLD: Tensor, boundaries: Boundaries, embeddings_RE: Tensor
    ) -> Projection:
        """To logits [S, V]."""
        left_SD = states_at(hidden_BLD, boundaries.left_S)
        right_SD = states_at(hidden_BLD, boundaries.right_S)
        places_SP = self.places(boundaries.offset_S)
        x_SD = torch.cat((left_SD, right_SD, places_SP), dim=-1)
        x_SD = self.first_norm(self.activation(self.first(x_SD)))
        x_SE = self.second_norm(self.activation(self.second(x_SD)))
        return Projection(
            states_MD=x_SE, matrix_VD=embeddings_RE, bias_V=self.bias, size=self.vocabulary_size
        )


class ReplacedTokenHead(nn.Module):
    """Was this token replaced? Linear, activation, linear to one number (ELECTRA's code)."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.activation, _ = activation(settings)
        self.transform = nn.Linear(settings.width, settings.width)
        self.judge = nn.Linear(settings.width, 1)

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        """To logits [B, L]."""
        logits_BL: Tensor = self.judge(self.activation(self.transform(hidden_BLD))).squeeze(-1)
        return logits_BL


def states_at(hidden_BLD: Tensor, flat_M: Tensor) -> Tensor:
    """The states [M, D] at `row * L + position`."""
    return hidden_BLD.flatten(0, 1).index_select(0, flat_M)
