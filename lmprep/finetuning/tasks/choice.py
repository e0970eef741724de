"""choice: which of several answers follows a context.

As in GPT (Radford et al. 2018, section 3.3): for each answer one row of context, delimiter and
answer, a score for each row, and a softmax over the rows of a context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lmprep.errors import UsageError
from lmprep.finetuning.examples import ChoiceExample, asked, read_choices
from lmprep.finetuning.heads import RowHead
from lmprep.finetuning.network import Network
from lmprep.finetuning.rows import Batch, Rows, rows_of
from lmprep.finetuning.scores import Figures
from lmprep.finetuning.tasks.base import Task, require_examples, tsv
from lmprep.finetuning.tokens import TextEncoder
from lmprep.models.dropout import DropoutKey
from lmprep.ragged import offsets_of

Scores = NDArray[np.float32]


class ChoiceExamples(Task[ChoiceExample]):
    """What choosing has in common, whether the model has a head or writes the answer.

    Its outputs are a score for each choice of a context.
    """

    suffix = ".tsv"

    def read(self, path: Path) -> list[ChoiceExample]:
        """See `examples.read_choices`."""
        return read_choices(path, self.settings)

    def learn(self, examples: Sequence[ChoiceExample], path: Path) -> None:
        """Choices have no labels."""
        require_examples(examples, path)

    def check(self, examples: Sequence[ChoiceExample], path: Path, train: Path) -> None:
        """There are examples."""
        require_examples(examples, path)

    def example(self, given: Mapping[str, Any]) -> ChoiceExample:
        """From `text` and `choices`."""
        choices = given.get("choices")
        if not isinstance(choices, list | tuple) or not choices:
            raise UsageError(
                f"an example has no list of choices: {dict(given)}",
                fix='Give dictionaries like {"text": "a question", "choices": ["yes", "no"]}',
            )
        return ChoiceExample(context=asked(given, "text"), choices=tuple(map(str, choices)))

    def answers(
        self, outputs: Sequence[Scores], rows: Rows, examples: Sequence[ChoiceExample]
    ) -> list[Scores]:
        """The outputs themselves."""
        return list(outputs)

    def figures(self, answers: Sequence[Scores], examples: Sequence[ChoiceExample]) -> Figures:
        """The share of contexts whose choice is right."""
        right = [int(a.argmax()) == e.label for a, e in zip(answers, examples, strict=True)]
        return {"accuracy": sum(right) / max(1, len(right))}

    def shown(self, answer: Scores, example: ChoiceExample) -> dict[str, Any]:
        """Number of the choice, and a probability for each."""
        chances = np.exp(answer - answer.max())
        chances /= chances.sum()
        return {"choice": int(answer.argmax()), "scores": list(map(float, chances))}

    def predictions(self, answers: Sequence[Scores], examples: Sequence[ChoiceExample]) -> str:
        """Context, right choice, choice made, its probability."""
        rows = []
        for answer, example in zip(answers, examples, strict=True):
            shown = self.shown(answer, example)
            choice = shown["choice"]
            rows.append((example.context, example.label, choice, shown["scores"][choice]))
        return tsv(["context", "label", "prediction", "probability"], rows)


class ChoiceTask(ChoiceExamples):
    """With a head on the first token, or on a decoder's last."""

    def rows(self, examples: Sequence[ChoiceExample], encoder: TextEncoder, length: int) -> Rows:
        """A row for each choice; those of an example are a group."""
        counts = np.array([len(example.choices) for example in examples], np.int64)
        contexts = encoder.texts([example.context for example in examples]).ids
        repeated = contexts.take(np.repeat(np.arange(len(examples)), counts))
        choices = encoder.texts([choice for e in examples for choice in e.choices]).ids
        rows = rows_of(repeated, choices, self.vocabulary, length)
        labels = [-1 if e.label is None else e.label for e in examples]
        return replace(
            rows,
            groups=offsets_of(counts),
            examples=np.repeat(np.arange(len(examples)), counts),
            targets={"label": np.array(labels)},
        )

    def new_head(self, width: int, activation: str) -> nn.Module:
        """One score for each row."""
        return RowHead(width, 1, activation)

    def loss(self, network: Network, batch: Batch, key: DropoutKey | None) -> Tensor:
        """Cross-entropy over the choices of each context."""
        labels_G = batch.tensor(batch.rows.targets["label"][batch.groups])
        return F.cross_entropy(self._logits(network, batch, key), labels_G)

    def outputs(self, network: Network, batch: Batch) -> list[Scores]:
        """Scores of the choices."""
        logits_GC = self._logits(network, batch, None).cpu().numpy()
        counts = np.diff(batch.rows.groups)[batch.groups]
        return [row[:count] for row, count in zip(logits_GC, counts, strict=True)]

    def _logits(self, network: Network, batch: Batch, key: DropoutKey | None) -> Tensor:
        """Scores by group, minus infinity past its choices: [G, C]."""
        states_BLD = network.read(batch, key)
        scores_B1 = network.head(states_BLD, batch.lengths_B, network, key)
        counts = np.diff(batch.rows.groups)[batch.groups]
        inside_GC = np.arange(counts.max()) < counts[:, None]
        nothing_GC: Tensor = scores_B1.new_full(inside_GC.shape, -np.inf)
        return nothing_GC.masked_scatter(batch.tensor(inside_GC), scores_B1[:, 0])
