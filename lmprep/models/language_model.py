"""What all models have in common: `model(inputs, key) -> Outputs`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lmprep.models.cross_entropy import Projection
from lmprep.models.dropout import DropoutKey
from lmprep.models.inputs import Inputs, Outputs
from lmprep.models.settings import ModelSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """All that a batch asks for, a step before logits and losses.

    Args:
        tokens: the scored ones.
        pair_logits_P2: of sentence pairs; None unless asked for.
        boundary: of spans; None unless asked for.
        replaced_logits_BL: that each token was replaced by what a generator drew; None without.
        drawn_M: int64, what it drew in place of the scored tokens.
        hidden_BLD: the last states of all tokens, of an encoder.
        ngram_scores_PP: see `Outputs`.
    """

    tokens: Projection
    pair_logits_P2: Tensor | None = None
    boundary: Projection | None = None
    replaced_logits_BL: Tensor | None = None
    drawn_M: Tensor | None = None
    hidden_BLD: Tensor | None = None
    ngram_scores_PP: Tensor | None = None


class LanguageModel(nn.Module, ABC):
    """A model of tokens: states from blocks, logits from heads.

    Args:
        settings: its shape.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.settings = settings

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(self, inputs: Inputs, key: DropoutKey | None = None) -> Outputs:
        """The logits that the inputs ask for.

        Args:
            key: fixes the dropout masks; without one nothing is dropped.
        """
        targets = self.targets(inputs, key)
        return Outputs(
            logits_MV=targets.tokens.logits(),
            pair_logits_P2=targets.pair_logits_P2,
            boundary_logits_SV=None if targets.boundary is None else targets.boundary.logits(),
            replaced_logits_BL=targets.replaced_logits_BL,
            drawn_M=targets.drawn_M,
            ngram_scores_PP=targets.ngram_scores_PP,
        )

    @abstractmethod
    def targets(self, inputs: Inputs, key: DropoutKey | None = None) -> Targets:
        """What logits and losses are made of; see `forward`."""

    @abstractmethod
    def states(self, inputs: Inputs, key: DropoutKey | None = None) -> Tensor:
        """The last hidden states that logits are made of: [rows, positions, width]."""

    def drops_weights(self, key: DropoutKey | None) -> bool:
        """Are weights of attention dropped in a pass with this key?"""
        return key is not None and self.settings.attention_dropout > 0

    def refuse(self, inputs: Inputs, *names: str) -> None:
        """Raise `ValueError` when an input is given that this kind of model has no use for."""
        for name in names:
            if getattr(inputs, name) is not None:
                raise ValueError(
                    f"{name} is given, for which a model of kind {self.settings.kind} has no use: "
                    "leave it out"
                )

    if TYPE_CHECKING:  # nn.Module's own call is untyped

        def __call__(self, inputs: Inputs, key: DropoutKey | None = None) -> Outputs: ...
