"""A stack: what is added to token vectors, and the blocks they go through.

B rows, L positions, D width.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from lmprep.models.attention import Memory
from lmprep.models.blocks import Block
from lmprep.models.dropout import Dropout, DropoutKey
from lmprep.models.masks import Mask
from lmprep.models.norms import new_norm
from lmprep.models.positions import RelativePositions
from lmprep.models.settings import ModelSettings


class Stack(nn.Module):
    """Positions, token types, blocks, norms.

    Args:
        settings: of the model.
        sites: numbers for the dropouts.
        reads: whether the model's ids come in here: then it holds the tokens' and the types'
            embeddings. The decoder behind an encoder borrows its tokens'.
        causal: whether its relative positions look back only.
        cross: whether its blocks attend to an encoder's states too.
    """

    def __init__(
        self,
        settings: ModelSettings,
        sites: Iterator[int],
        *,
        reads: bool = True,
        causal: bool = False,
        cross: bool = False,
    ) -> None:
        super().__init__()
        self.settings = settings
        self._add_embeddings(settings, reads=reads, causal=causal)
        self.dropout = Dropout(settings.dropout, sites)
        self.blocks = nn.ModuleList(
            Block(settings, sites, cross=cross) for _ in range(settings.layers)
        )
        if settings.norm_place == "pre":
            self.final_norm = new_norm(settings)
        if settings.full_dropout:
            self.final_dropout = Dropout(settings.dropout, sites)

    def _add_embeddings(self, settings: ModelSettings, *, reads: bool, causal: bool) -> None:
        if reads:
            self.tokens = nn.Embedding(settings.vocabulary_size, settings.width)
        if settings.positions == "learned":
            rows = settings.position_offset + settings.max_length
            self.positions = nn.Embedding(rows, settings.width)
        else:
            self.relative_positions = RelativePositions(settings.heads, causal=causal)
        if reads and settings.types:
            self.types = nn.Embedding(settings.types, settings.width)
        if settings.embedding_norm:
            self.norm = new_norm(settings)

    def forward(
        self,
        vectors_BLD: Tensor,
        mask: Mask,
        key: DropoutKey | None = None,
        *,
        types_BL: Tensor | None = None,
        memory: Memory | None = None,
    ) -> Tensor:
        """Hidden states [B, L, D].

        Args:
            vectors_BLD: the tokens' embeddings.
            mask: of the self-attention.
            key: fixes the dropout masks; without one nothing is dropped.
            types_BL: int, token types; None where all are 0.
            memory: of the encoder, for a stack with cross-attention.
        """
        x_BLD: Tensor = self.dropout(self._embed(vectors_BLD, types_BL), key)
        if self.settings.positions == "relative":
            length = x_BLD.shape[1]
            mask = mask.with_bias(self.relative_positions(length, length))
        for block in self.blocks:
            x_BLD = block(x_BLD, mask, key, memory)
        if self.settings.norm_place == "pre":
            x_BLD = self.final_norm(x_BLD)
        if self.settings.full_dropout:
            x_BLD = self.final_dropout(x_BLD, key)
        return x_BLD

    def _embed(self, x_BLD: Tensor, types_BL: Tensor | None) -> Tensor:
        settings = self.settings
        if hasattr(self, "types"):
            several = settings.types > 1 and types_BL is not None
            x_BLD = x_BLD + (self.types(types_BL) if several else self.types.weight[0])
        if settings.positions == "learned":
            x_BLD = x_BLD + self._position_vectors(x_BLD.shape[1])
        if settings.embedding_norm:
            x_BLD = self.norm(x_BLD)
        return x_BLD

    def _position_vectors(self, length: int) -> Tensor:
        settings = self.settings
        if length > settings.max_length:
            raise ValueError(
                f"{length} positions, of which the model has {settings.max_length}: cut the rows "
                "or give it a larger max_length"
            )
        return self.positions.weight[settings.position_offset :][:length]
