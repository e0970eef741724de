"""qa: the stretch of a context that answers a question; see `finetuning.windows`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from lmprep.finetuning.examples import asked
from lmprep.finetuning.heads import PositionHead
from lmprep.finetuning.network import Network
from lmprep.finetuning.questions import Question, read_questions
from lmprep.finetuning.rows import Batch, Rows
from lmprep.finetuning.scores import Figures, answer_figures, word_f1
from lmprep.finetuning.tasks.base import Task, require_examples
from lmprep.finetuning.tokens import TextEncoder
from lmprep.finetuning.windows import (
    Answer,
    Found,
    best_answers,
    best_spans,
    best_threshold,
    window_rows,
)
from lmprep.models.dropout import DropoutKey

_OUTSIDE = -1e4  # a score for positions past a row's end


class QuestionTask(Task[Question]):
    """Outputs are the best answers of the windows."""

    suffix = ".json"

    def read(self, path: Path) -> list[Question]:
        """See `questions.read_questions`."""
        return read_questions(path, self.settings)

    def learn(self, examples: Sequence[Question], path: Path) -> None:
        """Whether there are questions without an answer: then it may give none."""
        require_examples(examples, path)
        self.state["null"] = any(not question.answers for question in examples)
        self.state["threshold"] = 0.0

    def check(self, examples: Sequence[Question], path: Path, train: Path) -> None:
        """There are examples."""
        require_examples(examples, path)

    def example(self, given: Mapping[str, Any]) -> Question:
        """From `question` and `context`."""
        return Question(
            id=str(given.get("id", "")),
            question=asked(given, "question"),
            context=asked(given, "context"),
        )

    def rows(self, examples: Sequence[Question], encoder: TextEncoder, length: int) -> Rows:
        """Windows."""
        return window_rows(
            examples,
            encoder,
            length,
            max_question=self.settings.max_question,
            stride=self.settings.stride,
        )

    def new_head(self, width: int, activation: str) -> nn.Module:
        """A score of each position for start and for end."""
        return PositionHead(width, 2)

    def loss(self, network: Network, batch: Batch, key: DropoutKey | None) -> Tensor:
        """Mean cross-entropy of start and end over the row's positions."""
        starts_BL, ends_BL = self._scores(network, batch, key)
        start = F.cross_entropy(starts_BL, batch.target("start"))
        return (start + F.cross_entropy(ends_BL, batch.target("end"))) / 2

    def outputs(self, network: Network, batch: Batch) -> list[Found]:
        """The best answer of each window."""
        starts_BL, ends_BL = self._scores(network, batch, None)
        return best_spans(starts_BL, ends_BL, batch.rows, batch.chosen, self.settings.max_answer)

    def _scores(
        self, network: Network, batch: Batch, key: DropoutKey | None
    ) -> tuple[Tensor, Tensor]:
        """Of starts and ends, [B, L] each; padding has none to speak of."""
        scores_BL2 = network.head(network.read(batch, key), network, key)
        places_L = batch.tensor(np.arange(scores_BL2.shape[1]))
        outside_BL = places_L >= batch.lengths_B[:, None]
        starts_BL, ends_BL = scores_BL2.masked_fill(outside_BL[:, :, None], _OUTSIDE).unbind(dim=2)
        return starts_BL, ends_BL

    def answers(
        self, outputs: Sequence[Found], rows: Rows, examples: Sequence[Question]
    ) -> list[Answer]:
        """The best answer of each question."""
        return best_answers(outputs, rows, len(examples))

    def tune(self, outputs: Sequence[Found], rows: Rows, examples: Sequence[Question]) -> None:
        """Set the margin above which nothing is answered to that of the best F1."""
        if not self.state["null"]:
            return
        answers = self.answers(outputs, rows, examples)
        figures = [
            [max(word_f1(r, text) for r in _right(q)) for text in (_text(a, q), "")]
            for a, q in zip(answers, examples, strict=True)
        ]
        answered, unanswered = np.array(figures, np.float64).reshape(-1, 2).T
        margins = np.array([answer.margin for answer in answers])
        self.state["threshold"] = best_threshold(margins, answered, unanswered)

    def _given(self, answer: Answer, example: Question) -> str:
        """The text of an answer; empty for none."""
        none = self.state["null"] and answer.margin > self.state["threshold"]
        return "" if none else _text(answer, example)

    def figures(self, answers: Sequence[Answer], examples: Sequence[Question]) -> Figures:
        """See `scores.answer_figures`."""
        given = [self._given(a, q) for a, q in zip(answers, examples, strict=True)]
        return answer_figures([[text for _, text in q.answers] for q in examples], given)

    def shown(self, answer: Answer, example: Question) -> dict[str, Any]:
        """The answer and where it stands."""
        text = self._given(answer, example)
        place = {"start": answer.start, "end": answer.end} if text else {"start": None, "end": None}
        return {"answer": text, **place, "score": answer.score}

    def predictions(self, answers: Sequence[Answer], examples: Sequence[Question]) -> str:
        """An object of answers by question, as SQuAD's evaluation programs read it."""
        given = {q.id: self._given(a, q) for a, q in zip(answers, examples, strict=True)}
        return json.dumps(given, ensure_ascii=False, indent=1) + "\n"


def _text(answer: Answer, example: Question) -> str:
    return example.context[answer.start : answer.end]


def _right(question: Question) -> list[str]:
    return [text for _, text in question.answers] or [""]
