"""What every task does: read examples, make rows and a head, give losses, answers and figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor, nn

from lmprep.errors import InputError
from lmprep.finetuning.network import Network
from lmprep.finetuning.rows import Batch, Rows
from lmprep.finetuning.scores import Figures
from lmprep.finetuning.settings import FinetuneSettings
from lmprep.finetuning.tokens import TextEncoder
from lmprep.models.dropout import DropoutKey
from lmprep.models.settings import ModelSettings
from lmprep.vocabulary import Vocabulary

Example = TypeVar("Example")


class Task(ABC, Generic[Example]):
    """One task. What it learns from the training file, beside weights, is in `state`.

    Args:
        settings: of the fine-tuning.
        vocabulary: of the model's tokenizer.
    """

    suffix: ClassVar[str]
    """Of files of predictions."""

    def __init__(self, settings: FinetuneSettings, vocabulary: Vocabulary) -> None:
        self.settings, self.vocabulary = settings, vocabulary
        self.state: dict[str, Any] = {}

    @property
    def labels(self) -> list[str]:
        """The labels, in the order of their numbers; empty where there are none."""
        return list(self.state.get("labels", []))

    def numbers(self) -> dict[str, int]:
        """The number of each label."""
        return {label: number for number, label in enumerate(self.labels)}

    @abstractmethod
    def read(self, path: Path) -> list[Example]:
        """The examples of a file."""

    @abstractmethod
    def learn(self, examples: Sequence[Example], path: Path) -> None:
        """Take the labels, and what else is fixed before the training, from its file."""

    def check(self, examples: Sequence[Example], path: Path, train: Path) -> None:
        """Raise `InputError` for an example that this training cannot have prepared for."""

    @abstractmethod
    def example(self, given: Mapping[str, Any]) -> Example:
        """An example without its answer, from what `predict` takes."""

    @abstractmethod
    def rows(self, examples: Sequence[Example], encoder: TextEncoder, length: int) -> Rows:
        """Rows, with targets where the examples have answers."""

    @abstractmethod
    def new_head(self, width: int, activation: str) -> nn.Module | None:
        """A head on vectors of this width.

        Args:
            activation: see `heads.RowHead`.
        """

    @abstractmethod
    def loss(self, network: Network, batch: Batch, key: DropoutKey | None) -> Tensor:
        """The mean loss of a batch."""

    @abstractmethod
    def outputs(self, network: Network, batch: Batch) -> list[Any]:
        """What answers are made of, for each group of the batch, on CPU."""

    @abstractmethod
    def answers(self, outputs: Sequence[Any], rows: Rows, examples: Sequence[Example]) -> list[Any]:
        """An answer for each example, from the outputs of all groups in order."""

    def tune(self, outputs: Sequence[Any], rows: Rows, examples: Sequence[Example]) -> None:
        """Set, in `state`, what is chosen on dev with the weights as they are."""

    @abstractmethod
    def figures(self, answers: Sequence[Any], examples: Sequence[Example]) -> Figures:
        """How good the answers are."""

    @abstractmethod
    def shown(self, answer: Any, example: Example) -> dict[str, Any]:
        """An answer as `predict` gives it."""

    @abstractmethod
    def predictions(self, answers: Sequence[Any], examples: Sequence[Example]) -> str:
        """The text of a file of predictions."""

    def confusion(
        self, answers: Sequence[Any], examples: Sequence[Example]
    ) -> tuple[list[str], list[str]] | None:
        """The right labels and those given, one by one; None of a task without."""
        return None


def activation_for(model: ModelSettings, model_type: str) -> str:
    """What a `RowHead` on a model has behind its first layer, as the class of transformers has it.

    Args:
        model_type: of transformers; empty for a model that no class is.
    """
    if model.kind == "decoder":
        return ""
    return {"distilbert": "relu", "electra": "gelu"}.get(model_type, "tanh")


def require_examples(examples: Sequence[object], path: Path) -> None:
    """Raise `InputError` for a file without examples."""
    if not examples:
        raise InputError("has no examples", path=path, fix="Give a file that holds some")


def tsv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table without quoting: tabs and line ends within cells become spaces."""
    lines = [header, *rows]
    return "".join("\t".join(map(_cell, line)) + "\n" for line in lines)


def _cell(value: object) -> str:
    text = f"{value:.6f}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("\t", " ").splitlines())
