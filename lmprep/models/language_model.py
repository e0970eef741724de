"""What all models have in common: `model(inputs, key) -> Outputs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lmprep.models.dropout import DropoutKey
from lmprep.models.inputs import Inputs, Outputs
from lmprep.models.settings import ModelSettings


class LanguageModel(nn.Module):
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
        raise NotImplementedError

    def states(self, inputs: Inputs, key: DropoutKey | None = None) -> Tensor:
        """The last hidden states that logits are made of: [rows, positions, width]."""
        raise NotImplementedError

    def refuse(self, inputs: Inputs, *names: str) -> None:
        """Raise `ValueError` when an input is given that this kind of model has no use for."""
        for name in names:
            given = getattr(inputs, name)
            if given is not None and given is not False:
                raise ValueError(
                    f"{name} is given, for which a model of kind {self.settings.kind} has no use: "
                    "leave it out"
                )

    if TYPE_CHECKING:  # nn.Module's own call is untyped

        def __call__(self, inputs: Inputs, key: DropoutKey | None = None) -> Outputs: ...
