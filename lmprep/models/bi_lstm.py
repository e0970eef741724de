"""ELMo (arXiv:1802.05365): a language model that reads forwards, one that reads backwards.

The two share what tokens are read as and the output matrix (section 3.1). Each is a stack of LSTMs
whose outputs are projected to the model's width; from the second on an LSTM adds its input to its
output. What a token is for other models to use is a mix of all layers (`layers`, `ScalarMix`).

Not as in its code: cells and projections are not clipped to -3 ... 3, which the libraries' LSTMs
cannot; the output matrix is summed over in full, not sampled.

B rows, L positions, D width, V vocabulary, R its padded rows.
"""

from __future__ import annotations

import warnings
from itertools import count
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmprep.models.cross_entropy import Projection
from lmprep.models.dropout import Dropout, DropoutKey
from lmprep.models.heads import states_at
from lmprep.models.inputs import Inputs
from lmprep.models.language_model import LanguageModel, Targets
from lmprep.models.settings import ModelSettings
from lmprep.models.spellings import Spelled


class BiLstmModel(LanguageModel):
    """Two stacks of LSTMs over the same tokens, and one output matrix for both."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        if settings.filters:
            self.spelled = Spelled(settings)
        else:
            self.tokens = nn.Embedding(settings.vocabulary_rows, settings.width)
        sites = count()
        self.forwards = Direction(settings, sites)
        self.backwards = Direction(settings, sites)
        self.next_token_head = SharedOutput(settings)

    def targets(self, inputs: Inputs, key: DropoutKey | None = None) -> Targets:
        """What follows the scored tokens, or stands before them where they are read backwards."""
        scored_MD = states_at(self.states(inputs, key), inputs.scored_M)
        return Targets(tokens=self.next_token_head(scored_MD))

    def states(self, inputs: Inputs, key: DropoutKey | None = None) -> Tensor:
        """The last hidden states [2 B, L, D]: of all rows forwards, then of all backwards."""
        return torch.cat([layers[-1] for layers in self._directions(inputs, key)])

    def layers(self, inputs: Inputs, key: DropoutKey | None = None) -> list[Tensor]:
        """What a token is in each layer, [B, L, 2 D] each: its own vector twice, then the states of
        both directions (section 3.2)."""
        both = zip(*self._directions(inputs, key), strict=True)
        return [torch.cat(layer, -1) for layer in both]

    def _directions(self, inputs: Inputs, key: DropoutKey | None) -> list[list[Tensor]]:
        """The layers of both directions, [B, L, D] each, in the order of the text."""
        self.refuse(
            inputs, "types_BL", "documents", "prefixes_B", "decoder_ids_BK", "boundaries",
            "firsts_P",
        )  # fmt: skip
        table = getattr(self, "spelled", None) or self.tokens
        vectors_BLD = table(inputs.ids_BL)
        forwards = self.forwards(vectors_BLD, key)
        order_BL = reversal(inputs)
        turned = self.backwards(_ordered(vectors_BLD, order_BL), key)
        return [forwards, [_ordered(layer, order_BL) for layer in turned]]

    if TYPE_CHECKING:
        tokens: nn.Embedding
        spelled: Spelled


class Direction(nn.Module):
    """LSTMs one above another, each reading from the first position to the last.

    Padding at the end of a row comes after all tokens and changes nothing in them.
    """

    def __init__(self, settings: ModelSettings, sites: count[int]) -> None:
        super().__init__()
        self.lstms = nn.ModuleList(
            nn.LSTM(
                settings.width, settings.feed_forward, batch_first=True, proj_size=settings.width
            )
            for _ in range(settings.layers)
        )
        self.dropouts = nn.ModuleList(
            Dropout(settings.dropout, sites) for _ in range(settings.layers + 1)
        )

    def forward(self, x_BLD: Tensor, key: DropoutKey | None = None) -> list[Tensor]:
        """The vectors read and the outputs of each LSTM, [B, L, D]; the last one dropped from."""
        layers = [x_BLD]
        for number, (lstm, dropout) in enumerate(zip(self.lstms, self.dropouts, strict=False)):
            read_BLD = dropout(layers[-1], key)
            output_BLD = _run(lstm, read_BLD)
            layers.append(output_BLD + layers[-1] if number else output_BLD)
        layers[-1] = self.dropouts[-1](layers[-1], key)
        return layers

    if TYPE_CHECKING:  # nn.Module's own call is untyped

        def __call__(self, x_BLD: Tensor, key: DropoutKey | None = None) -> list[Tensor]: ...


def _run(lstm: nn.Module, x_BLD: Tensor) -> Tensor:
    """The outputs of an LSTM.

    On CPU in float32, since autocast does not reach into it, and without a word about oneDNN, which
    knows no projections.
    """
    if x_BLD.device.type != "cpu":
        outputs: Tensor = lstm(x_BLD)[0]
        return outputs
    with torch.autocast("cpu", enabled=False), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="LSTM with projections is not supported with")
        outputs = lstm(x_BLD.to(next(lstm.parameters()).dtype))[0]
    return outputs


def reversal(inputs: Inputs) -> Tensor:
    """The positions of each row from its last token to its first, padding in its place: [B, L]."""
    rows, length = inputs.ids_BL.shape
    places_L = torch.arange(length, device=inputs.ids_BL.device)
    if inputs.lengths_B is None:
        return places_L.flip(0).expand(rows, length)
    lengths_B1 = inputs.lengths_B[:, None]
    return torch.where(places_L < lengths_B1, lengths_B1 - 1 - places_L, places_L)


def _ordered(x_BLD: Tensor, order_BL: Tensor) -> Tensor:
    return x_BLD.gather(1, order_BL[:, :, None].expand_as(x_BLD))


class SharedOutput(nn.Module):
    """The output matrix and bias of both directions."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.vocabulary_size = settings.vocabulary_size
        self.weight = nn.Parameter(torch.empty(settings.vocabulary_rows, settings.width))
        self.bias = nn.Parameter(torch.empty(settings.vocabulary_rows))

    def forward(self, hidden_MD: Tensor) -> Projection:
        """To logits [M, V]."""
        return Projection(
            states_MD=hidden_MD,
            matrix_VD=self.weight,
            bias_V=self.bias,
            size=self.vocabulary_size,
        )


class ScalarMix(nn.Module):
    """gamma * sum of s_k layer_k, where s is the softmax of one learned number a layer (eq. 1).

    Args:
        layers: that are mixed; of ELMo one more than it has LSTMs.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(layers))
        self.gamma = nn.Parameter(torch.ones(()))

    def forward(self, layers: list[Tensor]) -> Tensor:
        """The mix, of the layers' shape."""
        shares = F.softmax(self.weights, 0)
        mixed = sum(share * layer for share, layer in zip(shares, layers, strict=True))
        scaled: Tensor = self.gamma * mixed
        return scaled
