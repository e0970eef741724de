"""Replaced-token detection: a generator and a discriminator, trained together (ELECTRA,
arXiv:2003.10555).

The generator predicts hidden tokens; what it draws for them is put in their place, and the
discriminator judges every token of the result. No gradient goes through the draw. The two share
their embeddings: of tokens, positions and types, and their norm, as in ELECTRA's code.

B rows, L positions, M scored positions, D width, E width of the embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

import torch
from torch import Tensor

from lmprep.models.dropout import DropoutKey
from lmprep.models.encoder import Encoder
from lmprep.models.heads import MaskedTokenHead, ReplacedTokenHead, states_at
from lmprep.models.inputs import Inputs
from lmprep.models.language_model import LanguageModel, Targets
from lmprep.models.scopes import Scope, scope_of
from lmprep.models.settings import ModelSettings
from lmprep.models.stacks import Stack

# Embeddings, which the generator has none of by itself.
_SHARED = ("encoder.tokens.", "encoder.positions.", "encoder.types.", "encoder.norm.")


class ElectraModel(LanguageModel):
    """The discriminator, `encoder`, which is what is kept, and the generator beside it."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        sites = count()
        narrower = settings.generator()
        self.encoder = Encoder(settings, sites)
        self.replaced_token_head = ReplacedTokenHead(settings)
        self.generator = Stack(narrower, sites, reads=False, embeds=False)
        self.masked_token_head = MaskedTokenHead(narrower)

    def targets(self, inputs: Inputs, key: DropoutKey | None = None) -> Targets:
        """The generator's scored tokens, what it drew for them, and a verdict on every token.

        Args:
            inputs: whose ids are those with masks, for the generator.
        """
        self.refuse(inputs, "decoder_ids_BK", "prefixes_B", "boundaries", "firsts_P")
        if inputs.draws_M is None:
            raise ValueError("draws_M is missing: a generator draws tokens by these numbers")
        vectors_BLE = self.encoder.tokens(inputs.ids_BL)
        scope = self._scope(inputs, vectors_BLE, key)
        embedded_BLE = self.encoder.embedded(vectors_BLE, inputs.types_BL, inputs.positions_BL)
        hidden_BLG = self.generator(embedded_BLE, scope, key, positions_BL=inputs.positions_BL)
        tokens = self.masked_token_head(
            states_at(hidden_BLG, inputs.scored_M), self.encoder.tokens.weight
        )
        drawn_M = tokens.drawn(inputs.draws_M)
        filled_BL = put(inputs.ids_BL, inputs.scored_M, drawn_M, inputs.draws_M >= 0)
        hidden_BLD = self._states(filled_BL, inputs, scope, key)
        return Targets(
            tokens=tokens,
            replaced_logits_BL=self.replaced_token_head(hidden_BLD),
            drawn_M=drawn_M,
        )

    def states(self, inputs: Inputs, key: DropoutKey | None = None) -> Tensor:
        """The discriminator's hidden states [B, L, D] over the ids as they are."""
        self.refuse(inputs, "decoder_ids_BK", "prefixes_B")
        scope = self._scope(inputs, self.encoder.tokens(inputs.ids_BL), key)
        return self._states(inputs.ids_BL, inputs, scope, key)

    def _scope(self, inputs: Inputs, vectors_BLE: Tensor, key: DropoutKey | None) -> Scope:
        return scope_of(inputs, vectors_BLE, causal=False, dropping=self.drops_weights(key))

    def _states(
        self, ids_BL: Tensor, inputs: Inputs, scope: Scope, key: DropoutKey | None
    ) -> Tensor:
        hidden_BLD: Tensor = self.encoder(
            self.encoder.tokens(ids_BL),
            scope,
            key,
            types_BL=inputs.types_BL,
            positions_BL=inputs.positions_BL,
        )
        return hidden_BLD


def generator_alone(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The generator's parameters, under the names of a model of `ModelSettings.generator()`."""
    alone = {}
    for name, tensor in tensors.items():
        if name.startswith((*_SHARED, "masked_token_head.")):
            alone[name] = tensor
        elif name.startswith("generator."):
            alone[f"encoder.{name.removeprefix('generator.')}"] = tensor
    return alone


def put(x_BL: Tensor, places_M: Tensor, values_M: Tensor, real_M: Tensor) -> Tensor:
    """A copy of `x_BL` with values at flat places, those left out that are not real."""
    flat = torch.cat((x_BL.flatten(), x_BL.new_zeros(1)))
    beyond = x_BL.numel()  # what only fills up goes there
    places_M = torch.where(real_M, places_M, beyond)
    return flat.index_copy(0, places_M, values_M.to(x_BL.dtype))[:beyond].view_as(x_BL)
