"""BERT (arXiv:1810.04805): encoder, masked-token head and sentence-pair head.

B batch, L positions, D width, M masked positions of the whole batch, V vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmprep.models.blocks import NORM_EPSILON, Block
from lmprep.models.dropout import DropoutKey, dropout
from lmprep.models.settings import ModelSettings

PAIR_CLASSES = 2
_EMBEDDING_SITE = 0
_STANDARD_DEVIATION = 0.02


class Encoder(nn.Module):
    """Embeddings and transformer blocks, with the pooler over the first token."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.dropout = settings.dropout
        self.tokens = nn.Embedding(settings.vocabulary_size, settings.width)
        self.positions = nn.Embedding(settings.max_length, settings.width)
        self.types = nn.Embedding(settings.types, settings.width)
        self.norm = nn.LayerNorm(settings.width, NORM_EPSILON)
        self.blocks = nn.ModuleList(Block(settings, layer) for layer in range(settings.layers))
        self.pooler = nn.Linear(settings.width, settings.width)

    def forward(
        self,
        ids_BL: Tensor,
        types_BL: Tensor,
        mask: Tensor | None = None,
        key: DropoutKey | None = None,
    ) -> Tensor:
        """Hidden states [B, L, D].

        Args:
            ids_BL, types_BL: int, token ids and token types.
            mask: from `lmprep.models.masks`.
            key: fixes the dropout masks; without one nothing is dropped.
        """
        x_BLD = self.tokens(ids_BL) + self.types(types_BL)
        x_BLD = self.norm(x_BLD + self.positions.weight[: ids_BL.shape[1]])
        x_BLD = dropout(x_BLD, self.dropout, key, _EMBEDDING_SITE)
        for block in self.blocks:
            x_BLD = block(x_BLD, mask, key)
        hidden_BLD: Tensor = x_BLD
        return hidden_BLD

    def pool(self, hidden_BLD: Tensor) -> Tensor:
        """The first token's state through a linear layer and tanh: [B, D]."""
        return torch.tanh(self.pooler(hidden_BLD[:, 0]))


class MaskedTokenHead(nn.Module):
    """Linear, GELU, LayerNorm, then the token embeddings as decoder, with a bias."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.transform = nn.Linear(settings.width, settings.width)
        self.norm = nn.LayerNorm(settings.width, NORM_EPSILON)
        self.bias = nn.Parameter(torch.empty(settings.vocabulary_size))

    def forward(self, hidden_MD: Tensor, embeddings_VD: Tensor) -> Tensor:
        """Logits [M, V]."""
        hidden_MD = self.norm(F.gelu(self.transform(hidden_MD)))
        return F.linear(hidden_MD, embeddings_VD, self.bias)


class Bert(nn.Module):
    """Encoder with both pretraining heads."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(settings)
        self.masked_token_head = MaskedTokenHead(settings)
        self.pair_head = nn.Linear(settings.width, PAIR_CLASSES)

    def masked_token_logits(self, hidden_BLD: Tensor, masked_M: Tensor) -> Tensor:
        """Logits [M, V] of the masked positions only.

        Args:
            masked_M: int64, `row * L + position` of each masked token.
        """
        hidden_MD = hidden_BLD.flatten(0, 1).index_select(0, masked_M)
        logits: Tensor = self.masked_token_head(hidden_MD, self.encoder.tokens.weight)
        return logits

    def pair_logits(self, hidden_BLD: Tensor) -> Tensor:
        """Logits [B, 2] of next sentence or sentence order."""
        logits: Tensor = self.pair_head(self.encoder.pool(hidden_BLD))
        return logits


def new_bert(settings: ModelSettings, seed: int) -> Bert:
    """A freshly initialised model on CPU; the same seed gives the same weights.

    As BERT's code: matrices and embeddings from a normal distribution of standard deviation 0.02
    cut off at two of them, biases 0, norms 1. (transformers does not cut off.)
    """
    model = outline(settings).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    limit = 2 * _STANDARD_DEVIATION
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            nn.init.trunc_normal_(
                parameter, std=_STANDARD_DEVIATION, a=-limit, b=limit, generator=generator
            )
        else:
            nn.init.constant_(parameter, 1.0 if name.endswith("norm.weight") else 0.0)
    return model


def outline(settings: ModelSettings) -> Bert:
    """The model without memory for its weights: to count them, or to load them."""
    with torch.device("meta"):
        return Bert(settings)


def count_parameters(module: nn.Module) -> int:
    """Parameters, each tied one once."""
    return sum(parameter.numel() for parameter in module.parameters())
