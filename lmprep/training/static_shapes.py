"""Constant counts: what torch.compile needs so as not to compile every batch anew.

The positions of a batch are constant by themselves, its tokens to predict, its rows and its runs
are not. They are filled up to what the datasets have on average and four standard deviations more;
a batch that needs still more gets the next step of a quarter, so a training knows a few shapes and
most batches have the first of them. Where a limit holds for every batch, no count exceeds it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lmprep.models.inputs import IGNORED, Inputs, Labels, Ngrams
from lmprep.objectives.electra import MASK_RATE
from lmprep.shards.reader import Dataset
from lmprep.training.tasks import Task

# Matrix products like whole tiles.
_MULTIPLE = 64
# So many steps above the usual count double it.
_STEPS = 4

NO_KIND = -1
"""The kind of a target that only fills a batch up."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """To what a batch is filled up.

    Args:
        scored: predicted tokens, and targets of spans' boundaries.
        firsts: sentence pairs.
        runs: of positions that see one another; 0 where every bin is one.
    """

    scored: int
    firsts: int
    runs: int


@dataclass(frozen=True, kw_only=True)
class Averages:
    """What rows of a training hold on average, of the dataset with the most of each.

    Args:
        scored_a_token, scored_a_row: predicted tokens.
        rows_a_token: one through the mean length of a row.
        documents_a_token: that begin within rows.
        targets: tokens in the targets of an encoder-decoder at most; 0 for others.
        length: positions in a bin.
        packed: may a bin hold several rows?
    """

    scored_a_token: float
    scored_a_row: float
    rows_a_token: float
    documents_a_token: float
    targets: int
    length: int
    packed: bool

    def counts(self, bins: int) -> Counts:
        """What batches of so many bins are filled up to."""
        positions = bins * self.length
        if self.targets:
            spread = 2 * self.targets * math.sqrt(bins)  # no deviation exceeds half the range
            scored = self.scored_a_row * bins + spread
            limit = bins * self.targets
            return Counts(scored=_usual(scored, limit), firsts=0, runs=0)
        scored = _spread(self.scored_a_token * positions)
        rows = _spread(self.rows_a_token * positions) if self.packed else bins
        documents = _spread(self.documents_a_token * positions)
        runs = rows + bins + documents if self.packed or documents else 0
        return Counts(
            scored=_usual(scored, positions),
            firsts=_usual(rows, positions if self.packed else bins),
            runs=_usual(runs, positions),
        )


def averages(datasets: Sequence[Dataset], task: Task, *, packed: bool, targets: int) -> Averages:
    """What the manifests say.

    Args:
        targets: see `Averages`.
    """
    totals: list[dict[str, Any]] = [dataset.manifest["totals"] for dataset in datasets]
    totals = [each for each in totals if each["rows"]]
    return Averages(
        scored_a_token=max(_scored_a_token(each, task) for each in totals),
        scored_a_row=max(each["scored_tokens"] / each["rows"] for each in totals),
        rows_a_token=max(each["rows"] / each["tokens"] for each in totals),
        documents_a_token=max(map(_documents_a_token, datasets)),
        targets=targets,
        length=task.length,
        packed=packed,
    )


def _scored_a_token(totals: dict[str, Any], task: Task) -> float:
    """Predicted tokens; what is masked while training rounds up by one token a row at most."""
    if task.replaces:
        return float(MASK_RATE) + float(totals["rows"] / totals["tokens"]) / 2
    return float(totals["scored_tokens"] / totals["tokens"])


def filled(needed: int, usual: int) -> int:
    """The count for a batch that needs so many: the usual one, or a step of a quarter above it."""
    step = max(1, usual // _STEPS)
    return usual + -(-max(0, needed - usual) // step) * step


def fill_up(
    inputs: Inputs, labels: Labels, kinds_M: Tensor, counts: Counts
) -> tuple[Inputs, Labels, Tensor]:
    """The same inputs, labels and kinds with counts that do not depend on the rows."""
    scored = filled(len(labels.tokens_M), counts.scored)
    changed: dict[str, Any] = {"scored_M": _extended(inputs.scored_M, scored, 0)}
    answers = {"tokens_M": _extended(labels.tokens_M, scored, IGNORED)}
    if inputs.documents is not None:
        offsets = inputs.documents.offsets_S
        runs = filled(len(offsets) - 1, counts.runs)
        offsets = _extended(offsets, runs + 1, int(offsets[-1]))
        changed["documents"] = replace(inputs.documents, offsets_S=offsets)
    if inputs.firsts_P is not None and labels.pairs_P is not None:
        firsts = filled(len(labels.pairs_P), counts.firsts)
        changed["firsts_P"] = _extended(inputs.firsts_P, firsts, 0)
        answers["pairs_P"] = _extended(labels.pairs_P, firsts, IGNORED)
    if inputs.boundaries is not None and labels.boundary_S is not None:
        changed["boundaries"] = inputs.boundaries.each(lambda each: _extended(each, scored, 0))
        answers["boundary_S"] = _extended(labels.boundary_S, scored, IGNORED)
    if inputs.draws_M is not None:
        changed["draws_M"] = _extended(inputs.draws_M, scored, -1)
    if inputs.ngrams is not None and labels.ngrams_P is not None:
        ngrams = filled(len(labels.ngrams_P), counts.firsts)
        changed["ngrams"] = _more_ngrams(inputs.ngrams, ngrams)
        answers["ngrams_P"] = _extended(labels.ngrams_P, ngrams, IGNORED)
    kinds_M = _extended(kinds_M, scored, NO_KIND)
    return replace(inputs, **changed), replace(labels, **answers), kinds_M


def _more_ngrams(ngrams: Ngrams, count: int) -> Ngrams:
    """N-grams that are nobody's candidates; each is an n-gram again, to be a text."""
    more = count - len(ngrams.lengths_P)
    first_1K = ngrams.ids_PK[:1].expand(more, -1)
    return Ngrams(
        ids_PK=torch.cat((ngrams.ids_PK, first_1K)),
        lengths_P=_extended(ngrams.lengths_P, count, int(ngrams.lengths_P[0])),
        contexts_P=_extended(ngrams.contexts_P, count, 0),
        # A context that only fills up has candidates too: else its softmax would be none.
        excluded_PP=F.pad(F.pad(ngrams.excluded_PP, (0, more), value=True), (0, 0, 0, more)),
    )


def _extended(tensor: Tensor, count: int, fill: int) -> Tensor:
    return torch.cat((tensor, tensor.new_full((count - len(tensor),), fill)))


def _documents_a_token(dataset: Dataset) -> float:
    """Zero where no row holds a second document."""
    if dataset.manifest["settings"]["sequences"]["sequences"] != "packed" or len(dataset) == 0:
        return 0.0
    return float(dataset.manifest["documents"] / dataset.manifest["totals"]["tokens"])


def _spread(mean: float) -> float:
    """A mean of counts and four of their standard deviations, if they are as of rare events."""
    return mean + 4 * math.sqrt(mean)


def _usual(count: float, limit: int) -> int:
    return min(limit, math.ceil(count / _MULTIPLE) * _MULTIPLE)
