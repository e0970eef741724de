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
from lmprep.models.inputs import Inputs, Outputs
from lmprep.models.language_model import LanguageModel
from lmprep.models.masks import bidirectional_mask, causal_mask, padding_mask
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

    def forward(self, inputs: Inputs, key: DropoutKey | None = None) -> Outputs:
        """Logits of what follows the scored decoder tokens (teacher forcing)."""
        scored_MD = states_at(self.states(inputs, key), inputs.scored_M)
        return Outputs(logits_MV=self.next_token_head(scored_MD, self.encoder.tokens.weight))

    def states(self, inputs: Inputs, key: DropoutKey | None = None) -> Tensor:
        """Hidden states [B, K, D] of the decoder."""
        self.refuse(inputs, "documents_BL", "prefixes_B", "boundaries", "pairs")
        if inputs.decoder_ids_BK is None:
            raise ValueError("an encoder-decoder needs decoder_ids_BK: the labels, shifted right")
        mask = causal_mask(inputs.decoder_ids_BK.shape[1])
        vectors_BKD = self.encoder.tokens(inputs.decoder_ids_BK)
        hidden_BKD: Tensor = self.decoder(vectors_BKD, mask, key, memory=self._read(inputs, key))
        return hidden_BKD

    def _read(self, inputs: Inputs, key: DropoutKey | None) -> Memory:
        """The encoder's states."""
        length = inputs.ids_BL.shape[1]
        mask = bidirectional_mask(length, inputs.lengths_B)
        vectors_BLD = self.encoder.tokens(inputs.ids_BL)
        states_BLD = self.encoder(vectors_BLD, mask, key, types_BL=inputs.types_BL)
        return Memory(states_BKD=states_BLD, mask=padding_mask(length, inputs.lengths_B))
