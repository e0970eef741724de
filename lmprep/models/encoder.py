"""Models that read both ways: BERT (arXiv:1810.04805) and its kin.

B rows, L positions, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import torch
from torch import Tensor, nn

from lmprep.models.dropout import DropoutKey
from lmprep.models.heads import PAIR_CLASSES, MaskedTokenHead, SpanBoundaryHead, states_at
from lmprep.models.inputs import Boundaries, Inputs, Outputs
from lmprep.models.language_model import LanguageModel
from lmprep.models.masks import bidirectional_mask
from lmprep.models.settings import ModelSettings
from lmprep.models.stacks import Stack


class Encoder(Stack):
    """A stack with the pooler over the first token."""

    def __init__(self, settings: ModelSettings, sites: Iterator[int]) -> None:
        super().__init__(settings, sites)
        self.pooler = nn.Linear(settings.width, settings.width)

    def pool(self, hidden_BLD: Tensor) -> Tensor:
        """The first token's state through a linear layer and tanh: [B, D]."""
        return torch.tanh(self.pooler(hidden_BLD[:, 0]))


class EncoderModel(LanguageModel):
    """Encoder with the heads of masked tokens, sentence pairs and, if asked for, spans."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self.encoder = Encoder(settings, count())
        self.masked_token_head = MaskedTokenHead(settings)
        self.pair_head = nn.Linear(settings.width, PAIR_CLASSES)
        if settings.span_boundary:
            self.span_boundary_head = SpanBoundaryHead(settings)

    def forward(self, inputs: Inputs, key: DropoutKey | None = None) -> Outputs:
        """Logits of the scored tokens and, if asked for, of pairs and span-boundary targets."""
        self.refuse(inputs, "decoder_ids_BK", "prefixes_B")
        hidden_BLD = self.states(inputs, key)
        embeddings_VD = self.encoder.tokens.weight
        scored_MD = states_at(hidden_BLD, inputs.scored_M)
        return Outputs(
            logits_MV=self.masked_token_head(scored_MD, embeddings_VD),
            pair_logits_B2=self._pair_logits(hidden_BLD) if inputs.pairs else None,
            boundary_logits_SV=self._boundary_logits(hidden_BLD, inputs.boundaries),
        )

    def states(self, inputs: Inputs, key: DropoutKey | None = None) -> Tensor:
        """Hidden states [B, L, D]."""
        length = inputs.ids_BL.shape[1]
        mask = bidirectional_mask(length, inputs.lengths_B, inputs.documents_BL)
        vectors_BLD = self.encoder.tokens(inputs.ids_BL)
        hidden_BLD: Tensor = self.encoder(vectors_BLD, mask, key, types_BL=inputs.types_BL)
        return hidden_BLD

    def _pair_logits(self, hidden_BLD: Tensor) -> Tensor:
        logits_B2: Tensor = self.pair_head(self.encoder.pool(hidden_BLD))
        return logits_B2

    def _boundary_logits(self, hidden_BLD: Tensor, boundaries: Boundaries | None) -> Tensor | None:
        if boundaries is None:
            return None
        if not self.settings.span_boundary:
            raise ValueError(
                "span boundaries are to be scored, but the model has no head for them: give it a "
                "span_boundary of 20 or so"
            )
        logits_SV: Tensor = self.span_boundary_head(
            hidden_BLD, boundaries, self.encoder.tokens.weight
        )
        return logits_SV
