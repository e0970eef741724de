"""span: labelled runs of words, each judged as a whole; see `finetuning.spans`.

B rows, W words, L widths, K labels with the null label.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lmprep.finetuning.examples import SpanExample, asked_words, check_labels, read_spans
from lmprep.finetuning.network import Network
from lmprep.finetuning.rows import Batch, Rows
from lmprep.finetuning.scores import Figures, span_figures
from lmprep.finetuning.spans import SpanScorer, choose, real_spans
from lmprep.finetuning.tasks.base import Task, require_examples
from lmprep.finetuning.tokens import TextEncoder
from lmprep.finetuning.word_rows import by_word, word_rows, words_of
from lmprep.models.dropout import DropoutKey
from lmprep.ragged import Ragged

_log = logging.getLogger("lmprep")
Spans = tuple[tuple[int, int, str], ...]
Found = NDArray[np.int64]


class SpanTask(Task[SpanExample]):
    """Outputs are spans as first word, last word, label number, from 1: int64 [S, 3]."""

    suffix = ".jsonl"

    def read(self, path: Path) -> list[SpanExample]:
        """See `examples.read_spans`."""
        return read_spans(path, self.settings)

    def learn(self, examples: Sequence[SpanExample], path: Path) -> None:
        """The labels of the training file, sorted; says how many spans are too wide."""
        require_examples(examples, path)
        self.state["labels"] = sorted({label for e in examples for *_, label in e.spans or ()})
        widths = [last - first + 1 for e in examples for first, last, _ in e.spans or ()]
        if wide := sum(width > self.settings.max_width for width in widths):
            _log.warning(
                "%s: %d of %d spans are wider than --max-width %d, and are never learnt or found.",
                path, wide, len(widths), self.settings.max_width,
            )  # fmt: skip

    def check(self, examples: Sequence[SpanExample], path: Path, train: Path) -> None:
        """Every label occurs in training."""
        require_examples(examples, path)
        found = ((label, e.lines[first]) for e in examples for first, _, label in e.spans or ())
        check_labels(found, self.labels, path, train)

    def example(self, given: Mapping[str, Any]) -> SpanExample:
        """From `words`, or `text` cut at spaces."""
        return SpanExample(words=asked_words(given))

    def rows(self, examples: Sequence[SpanExample], encoder: TextEncoder, length: int) -> Rows:
        """A row for each sentence, or several for a long one.

        The target `spans` is ragged by rows: place of the span in [W, L], flat with L = max_width,
        and label, as place * K + label. Spans across two rows are left out and counted.
        """
        rows = word_rows([example.words for example in examples], encoder, length)
        first_words, words = rows.targets["first_word"], rows.targets["first_token"].lengths
        numbers, labels = self.numbers(), len(self.labels) + 1
        codes: list[list[int]] = [[] for _ in range(len(rows.ids))]
        for row, example in enumerate(rows.examples):
            begin, end = first_words[row], first_words[row] + words[row]
            for first, last, label in examples[example].spans or ():
                width = last - first
                if begin <= first and last < end and width < self.settings.max_width:
                    place = (first - begin) * self.settings.max_width + width
                    codes[row].append(int(place) * labels + numbers[label] + 1)
        rows.targets["spans"] = Ragged.from_rows(codes, np.int64)
        narrow = sum(
            last - first < self.settings.max_width
            for e in examples
            for first, last, _ in e.spans or ()
        )
        if lost := narrow - sum(map(len, codes)):
            rows.notes["spans that a cut sentence lost"] = lost
        return rows

    def new_head(self, width: int, activation: str) -> nn.Module:
        """Scores of spans."""
        return SpanScorer(
            width,
            len(self.labels) + 1,
            self.settings.max_width,
            boundaries=self.settings.boundaries,
            summary=self.settings.summary,
        )

    def loss(self, network: Network, batch: Batch, key: DropoutKey | None) -> Tensor:
        """Cross-entropy of all spans, those without a label included, a word."""
        scores_BWLK = self._scores(network, batch, key)
        rows, words, widths, labels = scores_BWLK.shape
        lengths_B = words_of(batch)
        codes = batch.rows.targets["spans"].take(batch.chosen)
        row_S = batch.tensor(np.repeat(np.arange(rows), codes.lengths))
        codes_S = batch.tensor(codes.values)
        right = torch.zeros(rows, words * widths, dtype=torch.int64, device=row_S.device)
        right[row_S, codes_S // labels] = codes_S % labels
        real_BWL = real_spans(lengths_B, words, widths)
        right_BWL = right.view(rows, words, widths)
        losses = F.cross_entropy(scores_BWLK[real_BWL], right_BWL[real_BWL], reduction="sum")
        return losses / lengths_B.sum()

    def outputs(self, network: Network, batch: Batch) -> list[Found]:
        """Spans of each row, its words counted from 0."""
        scores_BWLK = self._scores(network, batch, None)
        kept_BWL, labels_BWL = choose(scores_BWLK, words_of(batch), overlap=self.settings.overlap)
        row_S, first_S, width_S = kept_BWL.nonzero(as_tuple=True)
        label_S = labels_BWL[kept_BWL]
        found = torch.stack((first_S, first_S + width_S, label_S), dim=1).cpu().numpy()
        ends = np.searchsorted(row_S.cpu().numpy(), np.arange(1, len(batch.chosen)))
        return np.split(found, ends)

    def _scores(self, network: Network, batch: Batch, key: DropoutKey | None) -> Tensor:
        states_BLD = network.dropped(network.read(batch, key), key)
        scores: Tensor = network.head(by_word(states_BLD, batch, "first"))
        return scores.float()

    def answers(
        self, outputs: Sequence[Found], rows: Rows, examples: Sequence[SpanExample]
    ) -> list[Spans]:
        """The spans of each example, from all of its rows."""
        spans: list[list[tuple[int, int, str]]] = [[] for _ in examples]
        names, first_words = self.labels, rows.targets["first_word"]
        for row, example in enumerate(rows.examples):
            begin = int(first_words[row])
            for first, last, label in outputs[row].tolist():
                spans[example].append((begin + first, begin + last, names[label - 1]))
        return [tuple(each) for each in spans]

    def figures(self, answers: Sequence[Spans], examples: Sequence[SpanExample]) -> Figures:
        """See `scores.span_figures`."""
        return span_figures([example.spans or () for example in examples], answers)

    def shown(self, answer: Spans, example: SpanExample) -> dict[str, Any]:
        """Words and spans."""
        return {"words": list(example.words), "spans": [list(span) for span in answer]}

    def predictions(self, answers: Sequence[Spans], examples: Sequence[SpanExample]) -> str:
        """An object a line, with the right spans as `gold`."""
        lines = []
        for answer, example in zip(answers, examples, strict=True):
            shown = self.shown(answer, example) | {"gold": [list(s) for s in example.spans or ()]}
            lines.append(json.dumps(shown, ensure_ascii=False) + "\n")
        return "".join(lines)
