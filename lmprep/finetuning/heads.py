"""Heads on hidden states: of whole rows and of single positions.

Those of whole rows have the form that transformers' classes have, so that they can be saved as one.
B rows, L positions, D width, K labels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmprep.finetuning.network import Network
from lmprep.models.activations import Activation
from lmprep.models.dropout import DropoutKey

ACTIVATIONS: dict[str, Activation] = {"tanh": torch.tanh, "relu": F.relu, "gelu": F.gelu}


class RowHead(nn.Module):
    """Scores of a row by its first token (encoders) or its last (decoders).

    An encoder's vector first goes through a linear layer and a non-linear function: BERT's pooler,
    which begins with the pretrained weights where there are any.

    Args:
        width: D.
        labels: K.
        activation: a key of `ACTIVATIONS`; empty for a decoder, which has no such layer (GPT).
    """

    def __init__(self, width: int, labels: int, activation: str) -> None:
        super().__init__()
        self.activation = activation
        if activation:
            self.dense = nn.Linear(width, width)
        self.output = nn.Linear(width, labels, bias=bool(activation))

    def forward(
        self, states_BLD: Tensor, lengths_B: Tensor, network: Network, key: DropoutKey | None
    ) -> Tensor:
        """[B, K], float32."""
        if self.activation:
            x_BD = ACTIVATIONS[self.activation](self.dense(states_BLD[:, 0]))
        else:
            rows_B = torch.arange(len(lengths_B), device=lengths_B.device)
            x_BD = states_BLD[rows_B, lengths_B - 1]
        logits_BK: Tensor = self.output(network.dropped(x_BD, key))
        return logits_BK.float()


class PositionHead(nn.Module):
    """Scores of every position by one linear layer.

    Args:
        width: D.
        labels: K.
    """

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.output = nn.Linear(width, labels)

    def forward(self, states_BLD: Tensor, network: Network, key: DropoutKey | None) -> Tensor:
        """[B, L, K], float32."""
        logits_BLK: Tensor = self.output(network.dropped(states_BLD, key))
        return logits_BLK.float()


@torch.no_grad()
def initialize_head(head: nn.Module, seed: int) -> None:
    """Fresh weights, the same for the same seed.

    Normal with 0.02 as in BERT; layers with ReLU between them as He et al. (arXiv:1502.01852), or
    nothing would come through; LSTMs as in torch.
    """
    generator = torch.Generator().manual_seed(seed)
    deep = {m for chain in head.modules() if isinstance(chain, nn.Sequential) for m in chain}
    for module in head.modules():
        if isinstance(module, nn.Linear):
            deviation = (2 / module.in_features) ** 0.5 if module in deep else 0.02
            nn.init.normal_(module.weight, 0.0, deviation, generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, nn.LSTM):
            bound = module.hidden_size**-0.5
            for parameter in module.parameters():
                parameter.uniform_(-bound, bound, generator=generator)
