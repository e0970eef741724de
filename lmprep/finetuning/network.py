"""The network that is fine-tuned: a pretrained model, what mixes its layers, and a head.

B rows, L positions, D width of the model, C layers that are kept apart, E width of the features.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lmprep.finetuning.rows import Batch
from lmprep.models.bi_lstm import BiLstmModel
from lmprep.models.decoder import DecoderModel
from lmprep.models.dropout import DropoutKey, dropout
from lmprep.models.encoder import EncoderModel
from lmprep.models.encoder_decoder import EncoderDecoderModel
from lmprep.models.inputs import Inputs
from lmprep.models.language_model import LanguageModel
from lmprep.models.settings import ModelSettings
from lmprep.models.stacks import Stack

LSTM_LAYERS = 2
# Numbers of the dropouts above the model's own, which count from 0.
_STATES_SITE, _HEAD_SITE = 1_000_000, 1_000_001


class Network(nn.Module):
    """A model with a head on its hidden states.

    Args:
        model: the pretrained one.
        head: on vectors of `width_of` the model and the settings; None of a text-to-text model.
        layers: one of `settings.LAYERS`.
        bilstm: whether an LSTM stands below the head.
        dropout: before the head.
    """

    def __init__(
        self,
        model: LanguageModel,
        head: nn.Module | None,
        *,
        layers: str = "last",
        bilstm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.model, self.layers, self.rate = model, layers, dropout
        self.head = nn.Module() if head is None else head
        width = feature_width(model.settings, layers)
        if layers == "learned-mix":
            self.mix = Mix(model.settings.layers + 1)
        if bilstm:
            # Half of the model's width for each direction, as wide as the features otherwise.
            self.bilstm = nn.LSTM(
                width,
                _half(model.settings.width),
                num_layers=LSTM_LAYERS,
                batch_first=True,
                bidirectional=True,
            )

    @property
    def settings(self) -> ModelSettings:
        """Of the model."""
        return self.model.settings

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    def read(self, batch: Batch, key: DropoutKey | None = None) -> Tensor:
        """Vectors of all positions: [B, L, E], or [B, L, 2 H] out of an LSTM."""
        features_BLCE = batch.features
        if features_BLCE is None:
            features_BLCE = features(self.model, batch.inputs, self.layers, key)
        x_BLE = self.mix(features_BLCE) if hasattr(self, "mix") else features_BLCE[:, :, 0]
        if hasattr(self, "bilstm"):
            x_BLE = self._recurrent(dropout(x_BLE, self.rate, key, _STATES_SITE), batch.lengths_B)
        return x_BLE

    def dropped(self, x: Tensor, key: DropoutKey | None) -> Tensor:
        """What goes into the last layer of a head."""
        return dropout(x, self.rate, key, _HEAD_SITE)

    def _recurrent(self, x_BLE: Tensor, lengths_B: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(
            x_BLE.float(), lengths_B.cpu(), batch_first=True, enforce_sorted=False
        )
        with torch.autocast(x_BLE.device.type, enabled=False):  # has no half precision on CPU
            out, _ = self.bilstm(packed)
        unpacked_BLH, _ = nn.utils.rnn.pad_packed_sequence(
            out, batch_first=True, total_length=x_BLE.shape[1]
        )
        return unpacked_BLH


class Mix(nn.Module):
    """A learned weighted mean of layers, and its scale (ELMo, arXiv:1802.05365, equation 1)."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(layers))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, features_BLCE: Tensor) -> Tensor:
        """[B, L, C, E] to [B, L, E]."""
        mixed_BLE = torch.einsum("blce,c->ble", features_BLCE, self.weights.softmax(dim=0))
        return mixed_BLE * self.scale


def features(
    model: LanguageModel, inputs: Inputs, layers: str, key: DropoutKey | None = None
) -> Tensor:
    """Hidden states as features: [B, L, C, E].

    `last` and `sum-last-4` have C = 1, `concat-last-4` C = 1 and E = 4 D, `learned-mix` all layers
    from the embeddings up. A model of fewer than four layers has as many fewer, embeddings aside.
    The last layer is taken after the final norm, if there is one. A bi-LSTM has both its directions
    side by side: 2 D in place of D.
    """
    if isinstance(model, BiLstmModel):
        found = model.layers(inputs, key)
    elif layers == "last":
        return model.states(inputs, key)[:, :, None]
    else:
        with _recorded(stack_of(model)) as found:
            found[-1:] = [model.states(inputs, key)]
    if layers == "last":
        return found[-1][:, :, None]
    if layers == "learned-mix":
        return torch.stack(found, dim=2)
    top = found[1:][-4:]
    if layers == "sum-last-4":
        return torch.stack(top).sum(dim=0)[:, :, None]
    return torch.cat(top, dim=-1)[:, :, None]


def feature_width(settings: ModelSettings, layers: str) -> int:
    """E of `features`."""
    width = settings.width * (2 if settings.kind == "bi-lstm" else 1)
    return width * (min(4, settings.layers) if layers == "concat-last-4" else 1)


def head_width(settings: ModelSettings, layers: str, *, bilstm: bool) -> int:
    """The width of the vectors that a head gets."""
    return 2 * _half(settings.width) if bilstm else feature_width(settings, layers)


def _half(width: int) -> int:
    return max(1, width // 2)


@contextmanager
def _recorded(stack: Stack) -> Iterator[list[Tensor]]:
    """What goes into the first block and comes out of every one, in the list that is given."""
    found: list[Tensor] = []

    def enter(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
        if not found:
            found.append(given[0])

    def leave(_module: nn.Module, _given: object, out: Tensor) -> None:
        found.append(out)

    blocks = list(stack.blocks)
    handles = [blocks[0].register_forward_pre_hook(enter)]
    handles += [block.register_forward_hook(leave) for block in blocks]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def stack_of(model: LanguageModel) -> Stack:
    """The stack whose states a head sees."""
    stack = model.encoder if isinstance(model, EncoderModel) else model.decoder
    assert isinstance(stack, Stack)
    return stack


def stacks_of(model: LanguageModel) -> list[Stack]:
    """All stacks of a model."""
    if isinstance(model, EncoderDecoderModel):
        return [model.encoder, model.decoder]
    return [stack_of(model)]


def freeze(network: Network, *, unfreeze_last: int | None, frozen: bool) -> None:
    """Keep the model as it is, but for its top layers and final norm; the head always learns."""
    if not frozen and unfreeze_last is None:
        return
    network.model.requires_grad_(False)
    for stack in stacks_of(network.model) if not frozen else []:
        for block in list(stack.blocks)[-(unfreeze_last or 0) :]:
            block.requires_grad_(True)
        if hasattr(stack, "final_norm"):
            stack.final_norm.requires_grad_(True)


def is_decoder(model: LanguageModel) -> bool:
    """Does the model read forwards only, so that a row's last token knows all of it?"""
    return isinstance(model, DecoderModel)
