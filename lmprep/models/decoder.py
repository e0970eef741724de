"""Models that read forwards only: GPT (Radford et al. 2018) and GPT-2 (2019).

B rows, L positions, D width, V vocabulary.
"""

from __future__ import annotations

from itertools import count

from torch import Tensor

from lmprep.models.dropout import DropoutKey
from lmprep.models.heads import TokenHead, states_at
from lmprep.models.inputs import Inputs, Outputs
from lmprep.models.language_model import LanguageModel
from lmprep.models.masks import causal_mask
from lmprep.models.settings import ModelSettings
from lmprep.models.stacks import Stack


class DecoderModel(LanguageModel):
    """Causal stack with the next-token head; with prefixes a prefix language model."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self.decoder = Stack(settings, count(), causal=True)
        self.next_token_head = TokenHead(settings)

    def forward(self, inputs: Inputs, key: DropoutKey | None = None) -> Outputs:
        """Logits of what follows the scored tokens."""
        self.refuse(inputs, "decoder_ids_BK", "boundaries", "pairs")
        scored_MD = states_at(self.states(inputs, key), inputs.scored_M)
        return Outputs(logits_MV=self.next_token_head(scored_MD, self.decoder.tokens.weight))

    def states(self, inputs: Inputs, key: DropoutKey | None = None) -> Tensor:
        """Hidden states [B, L, D]; state i knows tokens 0 to i, and its row's prefix."""
        mask = causal_mask(inputs.ids_BL.shape[1], inputs.documents_BL, inputs.prefixes_B)
        vectors_BLD = self.decoder.tokens(inputs.ids_BL)
        hidden_BLD: Tensor = self.decoder(vectors_BLD, mask, key, types_BL=inputs.types_BL)
        return hidden_BLD
