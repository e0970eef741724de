"""Models that read one text both ways and write another: T5 (arXiv:1910.10683), BART
(arXiv:1910.13461).

B rows, L positions of the encoder, K of the decoder, D width, V vocabulary.
"""

from __future__ import annotations

from itertools import count

from torch import Tensor

from lmprep.models.attention import Memory
from lmprep.models.dropout import DropoutKey
from lmprep.models.heads import TokenHead, states_at
from lmprep.models.inputs import Inputs
from lmprep.models.language_model import LanguageModel, Targets
from lmprep.models.masks import causal_mask, padding_mask
from lmprep.models.past import Past
from lmprep.models.scopes import Square, scope_of
from lmprep.models.settings import ModelSettings
from lmprep.models.stacks import Stack


class EncoderDecoderModel(LanguageModel):
    """Encoder and causal decoder that looks at its states; both share the token embeddings."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        sites = count()  # one series for both, so that no two dropouts share a mask
        self.encoder = Stack(settings, sites)
        self.decoder = Stack(settings, sites, reads=False, causal=True, cross=True)
        self.next_token_head = TokenHead(settings)

    def targets(self, inputs: Inputs, key: DropoutKey | None = None) -> Targets:
        """What follows the scored decoder tokens (teacher forcing)."""
        scored_MD = states_at(self.states(inputs, key), inputs.scored_M)
        return Targets(tokens=self.next_token_head(scored_MD, self.encoder.tokens.weight))

    def states(self, inputs: Inputs, key: DropoutKey | None = None) -> Tensor:
        """Hidden states [B, K, D] of the decoder."""
        self.refuse(inputs, "documents", "prefixes_B", "boundaries", "firsts_P")
        if inputs.decoder_ids_BK is None:
            raise ValueError("an encoder-decoder needs decoder_ids_BK: the labels, shifted right")
        return self.write(inputs.decoder_ids_BK, self.read(inputs, key), key)

    def write(self, ids_BK: Tensor, memory: Memory, key: DropoutKey | None = None) -> Tensor:
        """Hidden states [B, K, D] of the decoder, which knows what the encoder has read."""
        length = ids_BK.shape[1]
        scope = Square(mask=causal_mask(length), length=length)
        vectors_BKE = self.encoder.tokens(ids_BK)
        hidden_BKD: Tensor = self.decoder(vectors_BKE, scope, key, memory=memory)
        return hidden_BKD

    def written_on(self, ids_BK: Tensor, memory: Memory, past: Past) -> Tensor:
        """As `write`, of tokens that follow what `past` has seen, and now knows too."""
        length = ids_BK.shape[1]
        hidden_BKD: Tensor = self.decoder(
            self.encoder.tokens(ids_BK),
            past.scope(length, ids_BK.device),
            memory=memory,
            past=past.length,
        )
        past.passed(length)
        return hidden_BKD

    def read(self, inputs: Inputs, key: DropoutKey | None = None) -> Memory:
        """The encoder's states."""
        vectors_BLE = self.encoder.tokens(inputs.ids_BL)
        states_BLD = self.encoder(
            vectors_BLE,
            scope_of(inputs, vectors_BLE, causal=False, dropping=self.drops_weights(key)),
            key,
            types_BL=inputs.types_BL,
            positions_BL=inputs.positions_BL,
        )
        mask = padding_mask(inputs.ids_BL.shape[1], inputs.lengths_B)
        return Memory(states_BKD=states_BLD, mask=mask)
