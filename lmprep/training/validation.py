"""How well a model does on held-out rows, as they are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lmprep.errors import DatasetError
from lmprep.models.inputs import Outputs
from lmprep.models.language_model import LanguageModel
from lmprep.models.losses import replaced_labels
from lmprep.shards.reader import Dataset
from lmprep.training.batch import CORRUPTED, KINDS, Batch, make_batch
from lmprep.training.bins import Bins, one_row_each, pack
from lmprep.training.generator_inputs import held_out_keys
from lmprep.training.ngram_scores import NgramScores, matched
from lmprep.training.prefetch import prefetched
from lmprep.training.replaced_scores import ReplacedScores, judged, no_replaced_scores
from lmprep.training.steps import forward
from lmprep.training.tasks import Task, task_of

# Positions in the inputs of a batch: enough to keep two cores busy.
BATCH_TOKENS = 8192
# Logits in a batch: 268 MB of float32, of which a cross-entropy needs twice as much.
BATCH_LOGITS = 1 << 26

# What is scored by itself.
_PARTS = (*KINDS, "pairs", "boundary")


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Predictions of one sort, summed.

    Args:
        count: how many there were.
        loss: their cross-entropies, nats.
        correct: those whose label has the highest logit.
    """

    count: int
    loss: float
    correct: int

    @property
    def cross_entropy(self) -> float:
        """Nats a prediction."""
        return self.loss / self.count

    @property
    def accuracy(self) -> float:
        """Share that was right."""
        return self.correct / self.count

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            count=self.count + other.count,
            loss=self.loss + other.loss,
            correct=self.correct + other.correct,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Sums over the rows of a dataset.

    Args:
        rows: scored.
        corrupted, copied, marks, backward: scored tokens by kind, see `batch.KINDS`.
        pairs, boundary: of sentence pairs, and of the span-boundary objective.
        labels: int64 [V], how often each id is the label of a corrupted token.
        pair_labels: rows of each pair label, int64 [2]; zeros without pairs.
        replaced: verdicts on replaced tokens; None without a generator.
        ngrams: n-grams matched with contexts; None without.
    """

    rows: int
    corrupted: Tally
    copied: Tally
    marks: Tally
    backward: Tally
    pairs: Tally
    boundary: Tally
    labels: NDArray[np.int64]
    pair_labels: NDArray[np.int64]
    replaced: ReplacedScores | None = None
    ngrams: NgramScores | None = None

    def means(self) -> dict[str, float]:
        """What training reports of a validation.

        `token_loss` is over all scored tokens, as in training; where not all of them are
        corrupted, corrupted and copied ones stand by themselves, too; so do both directions of
        a model that reads forwards and backwards.
        """
        tokens = self.corrupted + self.copied + self.marks + self.backward
        named = {"token": tokens, "pair": self.pairs, "boundary": self.boundary}
        if self.backward.count:
            named |= {"forward": self.corrupted, "backward": self.backward}
        elif tokens.count > self.corrupted.count:
            named |= {"corrupted": self.corrupted, "copied": self.copied}
        means = {}
        for name, tally in named.items():
            if tally.count:
                means[f"{name}_loss"] = tally.cross_entropy
                means[f"{name}_accuracy"] = tally.accuracy
        if self.replaced is not None:
            figures = self.replaced.figures()
            means |= {
                "replaced_loss": figures["cross_entropy"],
                "replaced_accuracy": figures["accuracy"],
                "replaced_auc": figures["auc"],
            }
        if self.ngrams is not None and self.ngrams.contexts:
            figures = self.ngrams.figures()
            means |= {
                "ngram_loss": figures["cross_entropy"],
                "ngram_accuracy": figures["accuracy"],
                "ngram_information": figures["information"],
            }
        return means


@torch.no_grad()
def score(
    model: LanguageModel,
    dataset: Dataset,
    precision: torch.dtype,
    *,
    before_batch: Callable[[], None] = lambda: None,
) -> Scores:
    """Score every row with its stored corruption, nothing dropped; the rows in their order.

    Args:
        before_batch: called before each batch; what it raises ends the scoring.

    Raises:
        DatasetError: there are none, or nothing in them is to be predicted.
    """
    if len(dataset) == 0:
        raise DatasetError(
            "the dataset holds no rows to score",
            path=dataset.folder,
            fix="Build it from more text: `lmprep inspect` tells what was dropped, and why",
        )
    task = replace(
        task_of(dataset.manifest, dataset.folder), longest_span=model.settings.span_boundary
    )
    sums = torch.zeros((len(_PARTS), 2), dtype=torch.float64, device=model.device)
    counts = np.zeros(len(_PARTS), np.int64)
    labels = np.zeros(task.vocabulary.size, np.int64)
    pair_labels = np.zeros(2, np.int64)
    replaced = no_replaced_scores() if task.replaces else None
    ngrams = NgramScores() if task.matches else None
    made = _batches(dataset, task, model.settings.vocabulary_size)
    with closing(prefetched(made)) as batches:
        for batch in batches:
            before_batch()
            counts += _counts(batch)
            predicted = batch.labels.tokens_M[batch.kinds_M == CORRUPTED].numpy()
            labels += np.bincount(predicted, minlength=len(labels))
            if batch.labels.pairs_P is not None:
                pair_labels += np.bincount(batch.labels.pairs_P.numpy(), minlength=2)
            batch = batch.to(model.device)
            outputs = forward(model, batch, precision)
            sums += _sums(outputs, batch)
            if replaced is not None:
                replaced += _replaced(outputs, batch)
            if outputs.ngram_scores_PP is not None and batch.labels.ngrams_P is not None:
                ngrams = (ngrams or NgramScores()) + matched(
                    outputs.ngram_scores_PP, batch.labels.ngrams_P
                )
    if not labels.any():
        raise DatasetError(
            "nothing in the dataset is to be predicted",
            path=dataset.folder,
            fix="Build it anew with a higher share of masked tokens, or from more text",
        )
    tallies = {
        name: Tally(count=int(count), loss=loss, correct=int(correct))
        for name, count, (loss, correct) in zip(_PARTS, counts, sums.tolist(), strict=True)
    }
    return Scores(
        rows=len(dataset),
        labels=labels,
        pair_labels=pair_labels,
        replaced=replaced,
        ngrams=ngrams,
        **tallies,
    )


def _batches(dataset: Dataset, task: Task, vocabulary_size: int) -> Iterator[Batch]:
    """All rows in their order, packed as in training."""
    lengths = dataset.row_lengths(np.arange(len(dataset)))
    most = _most_bins(dataset, task, vocabulary_size)
    first = 0
    while first < len(dataset):
        bins = _bins(lengths[first : first + most * task.length], task, most)
        rows = np.arange(first, first + len(bins))
        in_order, bins = bins.between(0, bins.count)
        keys = held_out_keys(rows[in_order]) if task.replaces else None
        yield make_batch(dataset.rows(rows[in_order], task.columns), task, bins, keys=keys)
        first += len(rows)


def _bins(lengths: NDArray[np.int64], task: Task, most: int) -> Bins:
    """Places for the first rows, as many as go into so many bins."""
    if not task.shares_bins:
        rows = min(most, len(lengths))
        return one_row_each(rows, int(lengths[:rows].max()))
    bins = pack(lengths, most, task.length)
    return bins.with_count(int(bins.bin_N.max()) + 1)


def _most_bins(dataset: Dataset, task: Task, vocabulary_size: int) -> int:
    """As many bins as fit both limits, at least one."""
    totals = dataset.manifest["totals"]
    scored = totals["scored_tokens"] / totals["rows"]
    if task.model_kind != "encoder-decoder":
        scored = task.length * totals["scored_tokens"] / totals["tokens"]
    logits = max(1, vocabulary_size * scored)
    return max(1, min(BATCH_TOKENS // task.length, int(BATCH_LOGITS / logits)))


def _counts(batch: Batch) -> NDArray[np.int64]:
    """Predictions of each part, int64, as `_PARTS`."""
    kinds = np.bincount(batch.kinds_M.numpy(), minlength=len(KINDS))
    others = (batch.labels.pairs_P, batch.labels.boundary_S)
    return np.append(kinds, [0 if labels is None else len(labels) for labels in others])


def _sums(outputs: Outputs, batch: Batch) -> Tensor:
    """Loss and correct predictions of each part: float64 [parts, 2]."""
    labels = batch.labels
    sums = torch.zeros((len(_PARTS), 2), dtype=torch.float64, device=labels.tokens_M.device)
    sums.index_add_(0, batch.kinds_M.long(), _judged(outputs.logits_MV, labels.tokens_M))
    if outputs.pair_logits_P2 is not None and labels.pairs_P is not None:
        sums[len(KINDS)] = _judged(outputs.pair_logits_P2, labels.pairs_P).sum(0)
    if outputs.boundary_logits_SV is not None and labels.boundary_S is not None:
        sums[len(KINDS) + 1] = _judged(outputs.boundary_logits_SV, labels.boundary_S).sum(0)
    return sums


def _replaced(outputs: Outputs, batch: Batch) -> ReplacedScores:
    """Verdicts on all tokens of a batch."""
    assert outputs.replaced_logits_BL is not None
    assert outputs.drawn_M is not None
    assert batch.labels.present_BL is not None
    replaced_BL = replaced_labels(outputs.drawn_M, batch.inputs, batch.labels)
    return judged(outputs.replaced_logits_BL, replaced_BL, batch.labels.present_BL)


def _judged(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each prediction, and 1 where it is right: float64 [N, 2]."""
    losses = F.cross_entropy(logits, labels, reduction="none")
    return torch.stack((losses.double(), (logits.argmax(-1) == labels).double()), 1)
