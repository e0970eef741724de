"""Models that read forwards only: GPT (Radford et al. 2018) and GPT-2 (2019).

B rows, L positions, D width, V vocabulary.
"""

from __future__ import annotations

from itertools import count

from torch import Tensor

from lmprep.models.dropout import DropoutKey
from lmprep.models.heads import TokenHead, states_at
from lmprep.models.inputs import Inputs
from lmprep.models.language_model import LanguageModel, Targets
from lmprep.models.past import Past
from lmprep.models.scopes import scope_of
from lmprep.models.settings import ModelSettings
from lmprep.models.stacks import Stack


class DecoderModel(LanguageModel):
    """Causal stack with the next-token head; with prefixes a prefix language model."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self.decoder = Stack(settings, count(), causal=True)
        self.next_token_head = TokenHead(settings)

    def targets(self, inputs: Inputs, key: DropoutKey | None = None) -> Targets:
        """What follows the scored tokens."""
        scored_MD = states_at(self.states(inputs, key), inputs.scored_M)
        return Targets(tokens=self.next_token_head(scored_MD, self.decoder.tokens.weight))

    def states(self, inputs: Inputs, key: DropoutKey | None = None) -> Tensor:
        """Hidden states [B, L, D]; state i knows tokens 0 to i, and its row's prefix."""
        self.refuse(inputs, "decoder_ids_BK", "boundaries", "firsts_P")
        vectors_BLE = self.decoder.tokens(inputs.ids_BL)
        hidden_BLD: Tensor = self.decoder(
            vectors_BLE,
            scope_of(inputs, vectors_BLE, causal=True, dropping=self.drops_weights(key)),
            key,
            types_BL=inputs.types_BL,
            positions_BL=inputs.positions_BL,
        )
        return hidden_BLD

    def written_on(self, ids_BL: Tensor, past: Past) -> Tensor:
        """Hidden states [B, L, D] of tokens that follow what `past` has seen, and now knows too."""
        length = ids_BL.shape[1]
        hidden_BLD: Tensor = self.decoder(
            self.decoder.tokens(ids_BL),
            past.scope(length, ids_BL.device),
            positions_BL=past.positions(length, ids_BL.device),
            past=past.length,
        )
        past.passed(length)
        return hidden_BLD
