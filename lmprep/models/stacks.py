"""A stack: what is added to token vectors, and the blocks they go through.

B rows, L positions, E width of the embeddings, D width.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmprep.models.attention import Memory
from lmprep.models.blocks import Block
from lmprep.models.dropout import Dropout, DropoutKey
from lmprep.models.norms import new_norm
from lmprep.models.positions import RelativePositions, rotation, sinusoids
from lmprep.models.scopes import Scope
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
        embeds: whether it has positions, types and norm of embeddings; else it is given vectors
            that another stack has embedded.
    """

    def __init__(
        self,
        settings: ModelSettings,
        sites: Iterator[int],
        *,
        reads: bool = True,
        embeds: bool = True,
        causal: bool = False,
        cross: bool = False,
    ) -> None:
        super().__init__()
        self.settings, self._embeds = settings, embeds
        if embeds:
            self._add_embeddings(settings, reads=reads, causal=causal)
        elif settings.positions == "relative":
            self.relative_positions = RelativePositions(settings.heads, causal=causal)
        self.dropout = Dropout(settings.dropout, sites)
        if settings.factorised:
            self.to_width = nn.Linear(settings.embedding_width, settings.width)
        self._add_blocks(settings, sites, cross=cross)
        if settings.norm_place == "pre":
            self.final_norm = new_norm(settings)
        if settings.full_dropout:
            self.final_dropout = Dropout(settings.dropout, sites)

    def _add_embeddings(self, settings: ModelSettings, *, reads: bool, causal: bool) -> None:
        width = settings.embedding_width
        if reads:
            self.tokens = nn.Embedding(settings.vocabulary_rows, width)
        if settings.positions == "learned":
            rows = settings.position_offset + settings.max_length
            self.positions = nn.Embedding(rows, width)
        elif settings.positions == "relative":
            self.relative_positions = RelativePositions(settings.heads, causal=causal)
        if reads and settings.types:
            self.types = nn.Embedding(settings.types, width)
        if settings.embedding_norm:
            self.norm = new_norm(settings, width)

    def _add_blocks(self, settings: ModelSettings, sites: Iterator[int], *, cross: bool) -> None:
        """One for each layer, or one for all, which takes numbers of dropouts for each of them."""
        count = 1 if settings.shared_layers else settings.layers
        self.blocks = nn.ModuleList(Block(settings, sites, cross=cross) for _ in range(count))
        dropouts = [module for module in self.blocks[0].modules() if isinstance(module, Dropout)]
        self.block_sites = len(dropouts)
        for _ in range((settings.layers - count) * self.block_sites):
            next(sites)

    def forward(
        self,
        vectors_BLE: Tensor,
        scope: Scope,
        key: DropoutKey | None = None,
        *,
        types_BL: Tensor | None = None,
        positions_BL: Tensor | None = None,
        memory: Memory | None = None,
        past: int = 0,
    ) -> Tensor:
        """Hidden states [B, L, D].

        Args:
            vectors_BLE: the tokens' embeddings.
            scope: what the self-attentions look at.
            key: fixes the dropout masks; without one nothing is dropped.
            types_BL: int, token types; None where all are 0.
            positions_BL: int, places of tokens; None where they are those in the row.
            memory: of the encoder, for a stack with cross-attention.
            past: positions of each row that were there before these.
        """
        if self._embeds:
            vectors_BLE = self.embedded(vectors_BLE, types_BL, positions_BL, past)
        x_BLD: Tensor = self.dropout(vectors_BLE, key)
        if hasattr(self, "to_width"):
            x_BLD = self.to_width(x_BLD)
        scope = self._placed(scope, x_BLD, positions_BL, past)
        for block, block_key in self._layers(key):
            x_BLD = block(x_BLD, scope, block_key, memory)
        if self.settings.norm_place == "pre":
            x_BLD = self.final_norm(x_BLD)
        if self.settings.full_dropout:
            x_BLD = self.final_dropout(x_BLD, key)
        return x_BLD

    def _layers(self, key: DropoutKey | None) -> list[tuple[nn.Module, DropoutKey | None]]:
        """The block of each layer, and its key: a block used again drops at places of its own."""
        if not self.settings.shared_layers:
            return [(block, key) for block in self.blocks]
        shifts = [layer * self.block_sites for layer in range(self.settings.layers)]
        return [(self.blocks[0], None if key is None else key.shifted(shift)) for shift in shifts]

    def embedded(
        self, x_BLE: Tensor, types_BL: Tensor | None, positions_BL: Tensor | None, past: int = 0
    ) -> Tensor:
        """Tokens' vectors with what is added for types and positions, normed: [B, L, E]."""
        settings = self.settings
        if hasattr(self, "types"):
            several = settings.types > 1 and types_BL is not None
            x_BLE = x_BLE + (self.types(types_BL) if several else self.types.weight[0])
        if settings.positions in ("learned", "sinusoidal"):
            x_BLE = x_BLE + self._position_vectors(x_BLE, positions_BL, past)
        if settings.embedding_norm:
            x_BLE = self.norm(x_BLE)
        return x_BLE

    def _position_vectors(self, x_BLE: Tensor, positions_BL: Tensor | None, past: int) -> Tensor:
        """Of the rows, [B, L, E], or, where all are counted alike, of one, [L, E]."""
        length, width = past + x_BLE.shape[1], x_BLE.shape[2]
        if self.settings.positions == "learned":
            if past and positions_BL is not None:  # padding on the left has no place of its own
                length = min(length, self.settings.max_length)
            vectors_LE = self._learned_vectors(length)
        else:
            vectors_LE = sinusoids(length, width, x_BLE.device).to(x_BLE.dtype)
        return vectors_LE[past:] if positions_BL is None else F.embedding(positions_BL, vectors_LE)

    def _learned_vectors(self, length: int) -> Tensor:
        settings = self.settings
        if length > settings.max_length:
            raise ValueError(
                f"{length} positions, of which the model has {settings.max_length}: cut the rows "
                "or give it a larger max_length"
            )
        return self.positions.weight[settings.position_offset :][:length]

    def _placed(self, scope: Scope, x_BLD: Tensor, positions_BL: Tensor | None, past: int) -> Scope:
        """What attention looks at, with what it is told of places."""
        if self.settings.positions == "relative":
            return scope.with_bias(self.relative_positions)
        if self.settings.positions == "rotary":
            if positions_BL is None:
                positions_BL = torch.arange(past, past + x_BLD.shape[1], device=x_BLD.device)[None]
            return scope.turned_by(rotation(positions_BL, self.settings.head_width))
        return scope
