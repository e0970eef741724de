"""classify, pair and choice for encoder-decoders: they write the answer (T5, arXiv:1910.10683).

Trained to write the right label or choice; asked, they take the one of those possible that they
would most likely write: the sum of the log-probabilities of its tokens, end included. So every
answer is a possible one, which free writing does not promise.

B rows, C candidates (a row and an answer that it may have), K decoder positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmprep.finetuning.examples import ChoiceExample, TextExample
from lmprep.finetuning.network import Network
from lmprep.finetuning.rows import Batch, Rows, dense, ranges, rows_of
from lmprep.finetuning.tasks.choice import ChoiceExamples
from lmprep.finetuning.tasks.text import LabelledTexts
from lmprep.finetuning.tokens import TextEncoder
from lmprep.models.cross_entropy import Projection
from lmprep.models.dropout import DropoutKey
from lmprep.models.encoder_decoder import EncoderDecoderModel
from lmprep.models.inputs import IGNORED
from lmprep.ragged import Ragged, offsets_of
from lmprep.vocabulary import Vocabulary

_CELLS = 1 << 24  # logits that are computed at once


class LabelAsText(LabelledTexts):
    """Writes the label."""

    def rows(self, examples: Sequence[TextExample], encoder: TextEncoder, length: int) -> Rows:
        """A row for each example, and every label as a text: `candidates`."""
        rows = super().rows(examples, encoder, length)
        written = _written(self.labels, encoder)
        every = np.tile(np.arange(len(self.labels)), len(examples))
        offsets = np.arange(len(examples) + 1) * len(self.labels)
        options = Ragged(every, offsets)
        return replace(rows, targets=rows.targets | {"written": written, "options": options})

    def new_head(self, width: int, activation: str) -> None:
        """None: the model's own."""

    def loss(self, network: Network, batch: Batch, key: DropoutKey | None) -> Tensor:
        """Cross-entropy of the right label's tokens."""
        return _loss(network, batch, self.vocabulary, key)

    def outputs(self, network: Network, batch: Batch) -> list[NDArray[np.float32]]:
        """The log-probability of writing each label."""
        return _scores(network, batch, self.vocabulary)


class ChoiceAsText(ChoiceExamples):
    """Reads the context and writes the right choice."""

    def rows(self, examples: Sequence[ChoiceExample], encoder: TextEncoder, length: int) -> Rows:
        """A row for each context, and all choices as texts: `written`."""
        rows = rows_of(
            encoder.texts([example.context for example in examples]).ids,
            None,
            self.vocabulary,
            length,
        )
        written = _written([choice for e in examples for choice in e.choices], encoder)
        offsets = offsets_of([len(example.choices) for example in examples])
        targets: dict[str, Any] = {
            "written": written,
            "options": Ragged(np.arange(len(written)), offsets),
            "label": np.array([-1 if e.label is None else e.label for e in examples]),
        }
        return replace(rows, targets=targets)

    def new_head(self, width: int, activation: str) -> None:
        """None: the model's own."""

    def loss(self, network: Network, batch: Batch, key: DropoutKey | None) -> Tensor:
        """Cross-entropy of the right choice's tokens."""
        return _loss(network, batch, self.vocabulary, key)

    def outputs(self, network: Network, batch: Batch) -> list[NDArray[np.float32]]:
        """The log-probability of writing each choice."""
        return _scores(network, batch, self.vocabulary)


def _written(texts: Sequence[str], encoder: TextEncoder) -> Ragged:
    """Texts as a decoder writes them: `<s> text </s>` for BART, else `text </s>`."""
    empty = Ragged(np.empty(0, np.int32), np.zeros(1, np.int64))
    ids = encoder.texts(texts).ids if texts else empty
    return rows_of(ids, None, encoder.vocabulary, int(ids.lengths.max(initial=0)) + 2).ids


def start_token(vocabulary: Vocabulary) -> int:
    """What a decoder is given before the first token: `</s>` for BART, padding for T5."""
    start = vocabulary.sep if vocabulary.family == "roberta" else vocabulary.pad
    return 0 if start is None else start


def _loss(network: Network, batch: Batch, vocabulary: Vocabulary, key: DropoutKey | None) -> Tensor:
    options: Ragged = batch.rows.targets["options"]
    label = batch.rows.targets["label"][batch.chosen]
    right = options.values[options.offsets[batch.chosen] + label]
    labels_BK = batch.tensor(dense(batch.rows.targets["written"], right, IGNORED))
    model = _model(network)
    memory = model.read(batch.inputs, key)
    states_BKD = model.write(_shifted(labels_BK, vocabulary), memory, key)
    projection = model.next_token_head(states_BKD.flatten(0, 1), model.encoder.tokens.weight)
    loss: Tensor = projection.loss(labels_BK.flatten()).float() / (labels_BK != IGNORED).sum()
    return loss


def _scores(network: Network, batch: Batch, vocabulary: Vocabulary) -> list[NDArray[np.float32]]:
    """Log-probabilities of a row's options, in their order, for each row."""
    options: Ragged = batch.rows.targets["options"]
    counts = options.lengths[batch.chosen]
    numbers = options.values[ranges(options.offsets[:-1][batch.chosen], counts)]
    row_C = np.repeat(np.arange(len(batch.chosen)), counts)
    model = _model(network)
    memory = model.read(batch.inputs)
    written: Ragged = batch.rows.targets["written"]
    longest = int(written.lengths[numbers].max(initial=1))
    at_once = max(1, _CELLS // (longest * model.settings.vocabulary_size))
    found = []
    for first in range(0, len(numbers), at_once):
        part = slice(first, first + at_once)
        labels_CK = batch.tensor(dense(written, numbers[part], IGNORED))
        chosen_memory = memory.rows(batch.tensor(row_C[part]))
        states_CKD = model.write(_shifted(labels_CK, vocabulary), chosen_memory)
        found.append(_log_likelihood(model, states_CKD, labels_CK).cpu().numpy())
    return np.split(np.concatenate(found), np.cumsum(counts)[:-1])


def _log_likelihood(model: EncoderDecoderModel, states_CKD: Tensor, labels_CK: Tensor) -> Tensor:
    """Of writing each candidate: float32 [C]."""
    projection: Projection = model.next_token_head(
        states_CKD.flatten(0, 1), model.encoder.tokens.weight
    )
    chances_MV = projection.logits().float().log_softmax(dim=1)
    inside_CK = labels_CK != IGNORED
    asked_M1 = labels_CK.masked_fill(~inside_CK, 0).flatten()[:, None]
    chances_CK = chances_MV.gather(1, asked_M1).view(labels_CK.shape)
    return chances_CK.masked_fill(~inside_CK, 0).sum(dim=1)


def _shifted(labels_CK: Tensor, vocabulary: Vocabulary) -> Tensor:
    """What the decoder sees: the labels behind the start token."""
    start_C1 = torch.full_like(labels_CK[:, :1], start_token(vocabulary))
    pad = vocabulary.pad or 0
    return torch.cat((start_C1, labels_CK[:, :-1].masked_fill(labels_CK[:, :-1] < 0, pad)), dim=1)


def _model(network: Network) -> EncoderDecoderModel:
    assert isinstance(network.model, EncoderDecoderModel)
    return network.model
