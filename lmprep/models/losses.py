"""The losses of a batch, as one module: what is compiled, and spread over devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmprep.models.dropout import DropoutKey
from lmprep.models.inputs import IGNORED, Inputs, Labels
from lmprep.models.language_model import LanguageModel


class Losses(nn.Module):
    """A model and its losses: every use of a parameter is within one forward pass.

    Args:
        model: attribute `model`.
    """

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Inputs, labels: Labels, key: DropoutKey | None = None) -> Tensor:
        """Sums of cross-entropies: float32 [3], of tokens, sentence pairs and boundary targets.

        Zero where there are none; labels that are `IGNORED` have no part in them.

        Args:
            labels: for the targets that the inputs name.
            key: fixes the dropout masks; without one nothing is dropped.
        """
        targets = self.model.targets(inputs, key)
        nothing = targets.tokens.states_MD.new_zeros((), dtype=torch.float32)
        pairs = boundary = nothing
        if targets.pair_logits_P2 is not None and labels.pairs_P is not None:
            pairs = F.cross_entropy(
                targets.pair_logits_P2.float(),
                labels.pairs_P,
                ignore_index=IGNORED,
                reduction="sum",
            )
        if targets.boundary is not None and labels.boundary_S is not None:
            boundary = targets.boundary.loss(labels.boundary_S)
        tokens = targets.tokens.loss(labels.tokens_M)
        return torch.stack([each.float() for each in (tokens, pairs, boundary)])

    if TYPE_CHECKING:  # nn.Module's own call is untyped

        def __call__(
            self, inputs: Inputs, labels: Labels, key: DropoutKey | None = None
        ) -> Tensor: ...
