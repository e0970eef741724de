"""classify and pair: a label for a text, or for two (entailment, paraphrase)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lmprep.finetuning.examples import TextExample, asked, check_labels, read_texts
from lmprep.finetuning.heads import RowHead
from lmprep.finetuning.network import Network
from lmprep.finetuning.rows import Batch, Rows, rows_of
from lmprep.finetuning.scores import Figures, label_figures
from lmprep.finetuning.tasks.base import Task, require_examples, tsv
from lmprep.finetuning.tokens import TextEncoder
from lmprep.models.dropout import DropoutKey

Scores = NDArray[np.float32]


class LabelledTexts(Task[TextExample]):
    """What classifying has in common, whether the model has a head or writes the label.

    Its outputs are log-probabilities of the labels.
    """

    suffix = ".tsv"

    def read(self, path: Path) -> list[TextExample]:
        """See `examples.read_texts`."""
        return read_texts(path, self.settings)

    def learn(self, examples: Sequence[TextExample], path: Path) -> None:
        """The labels of the training file, sorted."""
        require_examples(examples, path)
        self.state["labels"] = sorted({str(example.label) for example in examples})

    def check(self, examples: Sequence[TextExample], path: Path, train: Path) -> None:
        """Every label occurs in training."""
        require_examples(examples, path)
        check_labels(((str(e.label), e.line) for e in examples), self.labels, path, train)

    def example(self, given: Mapping[str, Any]) -> TextExample:
        """From `text`, and `second` for pair."""
        names = ("text",) if self.settings.task == "classify" else ("text", "second")
        return TextExample(texts=tuple(asked(given, name) for name in names))

    def rows(self, examples: Sequence[TextExample], encoder: TextEncoder, length: int) -> Rows:
        """A row for each example."""
        sides = list(zip(*(example.texts for example in examples), strict=True))
        ids = [encoder.texts(side).ids for side in sides]
        rows = rows_of(ids[0], ids[1] if len(ids) > 1 else None, self.vocabulary, length)
        numbers = self.numbers()
        labels = [-1 if e.label is None else numbers[e.label] for e in examples]
        return replace(rows, targets={"label": np.array(labels)})

    def answers(
        self, outputs: Sequence[Scores], rows: Rows, examples: Sequence[TextExample]
    ) -> list[Scores]:
        """The outputs themselves."""
        return list(outputs)

    def figures(self, answers: Sequence[Scores], examples: Sequence[TextExample]) -> Figures:
        """See `scores.label_figures`."""
        return label_figures(*self.confusion(answers, examples))

    def confusion(
        self, answers: Sequence[Scores], examples: Sequence[TextExample]
    ) -> tuple[list[str], list[str]]:
        """Right labels, and the likeliest ones."""
        return [str(e.label) for e in examples], [self._label(answer) for answer in answers]

    def _label(self, answer: Scores) -> str:
        label: str = self.state["labels"][int(answer.argmax())]
        return label

    def shown(self, answer: Scores, example: TextExample) -> dict[str, Any]:
        """Label and probabilities."""
        chances = np.exp(answer - answer.max())
        chances /= chances.sum()
        return {
            "label": self._label(answer),
            "scores": dict(zip(self.labels, map(float, chances), strict=True)),
        }

    def predictions(self, answers: Sequence[Scores], examples: Sequence[TextExample]) -> str:
        """Texts, right label, label given, its probability."""
        names = ["text"] if self.settings.task == "classify" else ["sentence1", "sentence2"]
        rows = []
        for answer, example in zip(answers, examples, strict=True):
            shown = self.shown(answer, example)
            label = shown["label"]
            rows.append((*example.texts, example.label, label, shown["scores"][label]))
        return tsv([*names, "label", "prediction", "probability"], rows)


class TextTask(LabelledTexts):
    """With a head on the first token, or on a decoder's last."""

    def new_head(self, width: int, activation: str) -> nn.Module:
        """A score for each label."""
        return RowHead(width, len(self.labels), activation)

    def loss(self, network: Network, batch: Batch, key: DropoutKey | None) -> Tensor:
        """Cross-entropy."""
        logits_BK = self._logits(network, batch, key)
        return F.cross_entropy(logits_BK, batch.target("label"))

    def outputs(self, network: Network, batch: Batch) -> list[Scores]:
        """Log-probabilities."""
        return list(self._logits(network, batch, None).log_softmax(dim=1).cpu().numpy())

    def _logits(self, network: Network, batch: Batch, key: DropoutKey | None) -> Tensor:
        states_BLD = network.read(batch, key)
        logits: Tensor = network.head(states_BLD, batch.lengths_B, network, key)
        return logits
