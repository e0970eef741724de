"""tag: a label for every word (parts of speech, entities in BIO).

B rows, L positions, W words, K labels.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lmprep.finetuning.crf import Crf, bio_allows
from lmprep.finetuning.examples import (
    WordsExample,
    asked_words,
    check_labels,
    is_bio,
    read_words,
)
from lmprep.finetuning.heads import PositionHead
from lmprep.finetuning.network import Network
from lmprep.finetuning.rows import Batch, Rows
from lmprep.finetuning.scores import Figures, tag_figures
from lmprep.finetuning.tasks.base import Task, require_examples
from lmprep.finetuning.tokens import TextEncoder
from lmprep.finetuning.word_rows import (
    NO_WORD,
    by_word,
    inside_words,
    labels_by_row,
    word_rows,
    words_of,
)
from lmprep.models.dropout import DropoutKey
from lmprep.models.inputs import IGNORED
from lmprep.ragged import offsets_of

_log = logging.getLogger("lmprep")
Tags = NDArray[np.int64]


class TagHead(PositionHead):
    """Scores of every position, and the chain over words if there is one."""

    def __init__(self, width: int, labels: Sequence[str], *, crf: bool, bio: bool) -> None:
        super().__init__(width, len(labels))
        self.crf = Crf(labels, bio=bio) if crf else None


class TagTask(Task[WordsExample]):
    """Outputs are the numbers of the labels of a row's words."""

    suffix = ".conll"

    def read(self, path: Path) -> list[WordsExample]:
        """See `examples.read_words`."""
        return read_words(path, self.settings)

    def learn(self, examples: Sequence[WordsExample], path: Path) -> None:
        """The labels of the training file, sorted; whether they are BIO, and keep its rules."""
        require_examples(examples, path)
        labels = sorted({tag for example in examples for tag in example.tags or ()})
        bio = is_bio(labels)
        strict = bio and self.settings.crf and _keeps_rules(examples, path)
        self.state |= {"labels": labels, "bio": bio, "constrained": strict}

    def check(self, examples: Sequence[WordsExample], path: Path, train: Path) -> None:
        """Every label occurs in training."""
        require_examples(examples, path)
        found = (pair for e in examples for pair in zip(e.tags or (), e.lines, strict=True))
        check_labels(found, self.labels, path, train)

    def example(self, given: Mapping[str, Any]) -> WordsExample:
        """From `words`, or `text` cut at spaces."""
        return WordsExample(words=asked_words(given))

    def rows(self, examples: Sequence[WordsExample], encoder: TextEncoder, length: int) -> Rows:
        """A row for each sentence, or several for a long one; labels by word."""
        rows = word_rows([example.words for example in examples], encoder, length)
        numbers = self.numbers()
        tags = [numbers[tag] for e in examples for tag in e.tags or ()]
        offsets = offsets_of([len(example.words) for example in examples])
        if len(tags) == offsets[-1]:
            rows.targets["label"] = labels_by_row(rows, offsets, np.array(tags, np.int64))
        return rows

    def new_head(self, width: int, activation: str) -> nn.Module:
        """Scores of labels, with a chain where asked for."""
        crf, bio = self.settings.crf, self.state["constrained"]
        return TagHead(width, self.labels, crf=crf, bio=bio)

    def loss(self, network: Network, batch: Batch, key: DropoutKey | None) -> Tensor:
        """A word's, or sub-word's, share of the negative log-likelihood."""
        logits_BLK = network.head(network.read(batch, key), network, key)
        labels_BW = batch.padded("label", 0)
        crf = network.head.crf
        if isinstance(crf, Crf):
            words_B = words_of(batch)
            emissions_BWK = by_word(logits_BLK, batch, self.settings.decide)
            return crf.loss(emissions_BWK, labels_BW, words_B).sum() / words_B.sum()
        labels_BL = self._labels_of_tokens(batch, labels_BW)
        return F.cross_entropy(logits_BLK.flatten(0, 1), labels_BL.flatten(), ignore_index=IGNORED)

    def _labels_of_tokens(self, batch: Batch, labels_BW: Tensor) -> Tensor:
        """The label of each position that bears one, else `IGNORED`: [B, L]."""
        word_BL = batch.padded("word_at", NO_WORD)
        labels_BL = labels_BW.gather(1, word_BL.clamp(min=0))
        labels_BL = labels_BL.masked_fill(word_BL == NO_WORD, IGNORED)
        if self.settings.label_subwords == "first":
            before_BL = F.pad(word_BL[:, :-1], (1, 0), value=NO_WORD)
            labels_BL = labels_BL.masked_fill(word_BL == before_BL, IGNORED)
        return labels_BL

    def outputs(self, network: Network, batch: Batch) -> list[Tags]:
        """Label numbers of the words of each row."""
        logits_BLK = network.head(network.read(batch), network, None)
        emissions_BWK = by_word(logits_BLK, batch, self.settings.decide)
        crf = network.head.crf
        if isinstance(crf, Crf):
            tags_BW = crf.decode(emissions_BWK, words_of(batch))
        else:
            tags_BW = emissions_BWK.argmax(dim=2)
        flat = tags_BW[inside_words(batch)].cpu().numpy()
        return np.split(flat, torch.cumsum(words_of(batch), 0).cpu().numpy()[:-1])

    def answers(
        self, outputs: Sequence[Tags], rows: Rows, examples: Sequence[WordsExample]
    ) -> list[tuple[str, ...]]:
        """The labels of each example's words: those of its rows, one after another."""
        names = np.array(self.labels, dtype=object)
        flat = names[np.concatenate([np.empty(0, np.int64), *outputs])]
        counts = np.bincount(
            rows.examples, [len(tags) for tags in outputs], minlength=len(examples)
        ).astype(np.int64)
        ends = np.cumsum(counts)
        return [tuple(flat[end - count : end]) for end, count in zip(ends, counts, strict=True)]

    def figures(
        self, answers: Sequence[tuple[str, ...]], examples: Sequence[WordsExample]
    ) -> Figures:
        """See `scores.tag_figures`."""
        return tag_figures([e.tags or () for e in examples], answers, bio=self.state["bio"])

    def confusion(
        self, answers: Sequence[tuple[str, ...]], examples: Sequence[WordsExample]
    ) -> tuple[list[str], list[str]]:
        """Word by word."""
        right = [tag for example in examples for tag in example.tags or ()]
        return right, [tag for answer in answers for tag in answer]

    def shown(self, answer: tuple[str, ...], example: WordsExample) -> dict[str, Any]:
        """Words and their labels."""
        return {"words": list(example.words), "tags": list(answer)}

    def predictions(
        self, answers: Sequence[tuple[str, ...]], examples: Sequence[WordsExample]
    ) -> str:
        """Word, right label, label given: what CoNLL's evaluation program reads."""
        sentences = []
        for answer, example in zip(answers, examples, strict=True):
            columns = zip(example.words, example.tags or answer, answer, strict=True)
            sentences.append("".join("\t".join(row) + "\n" for row in columns))
        return "\n".join(sentences)


def _keeps_rules(examples: Sequence[WordsExample], path: Path) -> bool:
    """Whether no I-X follows what it must not; a warning names the first that does."""
    for example in examples:
        steps = pairwise(("O", *(example.tags or ())))
        for line, (before, after) in zip(example.lines, steps, strict=True):
            if not bio_allows(before, after):
                _log.warning(
                    "%s:%d: %s follows %s, against the rules of BIO: they are not enforced.",
                    path, line, after, before,
                )  # fmt: skip
                return False
    return True
