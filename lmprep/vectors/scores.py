"""How well word vectors predict held-out rows, and how well frequencies alone do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.errors import CheckpointError
from lmprep.objectives.skipgram import Pairs, keep_thresholds
from lmprep.shards.reader import Dataset
from lmprep.training import checkpoints, run_folder
from lmprep.training.fit import check_traits
from lmprep.training.unigram import load_unigrams
from lmprep.vectors.folder import recorded_settings
from lmprep.vectors.model import Block, WeightedCounts, WordVectors
from lmprep.vectors.work import Work


def evaluate_vectors(run: Path, dataset: Path, *, step: int | None = None) -> dict[str, Any]:
    """Score a checkpoint of word vectors on a held-out dataset of the same objective.

    Args:
        step: of the checkpoint; by default the newest intact one.

    Returns:
        `run`, `dataset`, `objective`, `step`, `rows`; `predictions`, how many pairs, windows or
        counts there are; `loss`, the mean of theirs; and `unigram_loss`, what frequencies alone
        come to on the same ones. For skip-gram and CBOW these are the best scores that do not look
        at what stands around a word; for GloVe always the mean of the logarithms. GloVe's loss is
        that with the best constant added, since the held-out corpus is of another size.

    Raises:
        UsageError: no run, or a dataset that does not go with it.
        CheckpointError: no such checkpoint, or a damaged one.
    """
    config = run_folder.read_config(run)
    check_traits(Dataset(dataset), config, run)
    vectors, found = load_vectors(run, step)
    work = Work(dataset, recorded_settings(run), load_unigrams(run))
    tally = _Tally()
    baseline = _Baseline(work)
    for number in range(work.blocks):
        block = work.in_order(number)
        tally.add(vectors, block)
        baseline.add(block)
    return {
        "run": str(run),
        "dataset": str(dataset),
        "objective": work.dataset.manifest["objective"],
        "step": found,
        "rows": len(work.dataset),
        "predictions": tally.predictions,
        "loss": tally.mean,
        "unigram_loss": baseline.loss / max(1, tally.predictions),
    }


def load_vectors(run: Path, step: int | None = None) -> tuple[WordVectors, int]:
    """The vectors of a checkpoint, by default the newest intact one, and its step."""
    if step is None:
        checkpoint = checkpoints.load_newest(run, model_only=True)
    else:
        checkpoint = checkpoints.load(run, step, model_only=True)
    if checkpoint is None:
        raise CheckpointError(
            "the run has no checkpoint yet", path=run, fix="Go on with lmprep pretrain --resume"
        )
    size = run_folder.read_config(run)["model"]["vocabulary_size"]
    vectors = WordVectors(recorded_settings(run), size)
    vectors.load(checkpoint.model, {})
    return vectors, int(checkpoint.state["step"])


def mean_loss(vectors: WordVectors, work: Work) -> float:
    """Of every prediction of a held-out dataset."""
    tally = _Tally()
    for number in range(work.blocks):
        tally.add(vectors, work.in_order(number))
    return tally.mean


class _Tally:
    """Losses of vectors, summed.

    Counts of another corpus than the one of the training are larger or smaller by its size, which
    no vector can know: one constant, the best, is added to all predictions of their logarithms.
    """

    def __init__(self) -> None:
        self.predictions = 0
        self._loss = self._error = self._weight = 0.0

    def add(self, vectors: WordVectors, block: Block) -> None:
        """Score a block."""
        loss = vectors.loss(block)
        self.predictions += len(block)
        self._loss += loss
        if isinstance(block, WeightedCounts):
            # The loss is quadratic in the constant: its value at 0 and at 1 tells the rest.
            weight = float(block.weights.sum())
            lifted = vectors.loss(replace(block, logs=block.logs + 1))
            self._error += (loss + weight - lifted) / 2
            self._weight += weight

    @property
    def mean(self) -> float:
        """Of all predictions."""
        free = self._error**2 / self._weight if self._weight else 0.0
        return (self._loss - free) / max(1, self.predictions)


class _Baseline:
    """What can be predicted without looking at the words around.

    With k negatives, of which word c is one with probability n(c), and a share of f(c) among the
    true words, the best score of c is log(f(c) / (k n(c))) for any neighbour.
    """

    def __init__(self, work: Work) -> None:
        self._losses: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._sums = np.zeros(3)  # of weights, and of theirs with logarithms and squares of these
        self._total = 0.0
        if work.settings.objective == "skipgram":
            self._losses = _best_losses(work)

    def add(self, block: Block) -> None:
        """Predict a block."""
        if isinstance(block, WeightedCounts):
            powers = (block.weights, block.weights * block.logs, block.weights * block.logs**2)
            self._sums += [power.sum() for power in powers]
            return
        assert self._losses is not None
        true, false = self._losses
        words = block.contexts if isinstance(block, Pairs) else block.centres
        self._total += float(true[words].sum() + false[block.negatives].sum())

    @property
    def loss(self) -> float:
        """The sum of the losses."""
        weight, first, second = self._sums
        return self._total if self._losses is not None else float(second - first**2 / weight)


def _best_losses(work: Work) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each word where it is the true one and where it is a negative: float64 [V] both."""
    settings = work.objective_settings
    kept = (work.counts + 1.0) * keep_thresholds(work.counts, settings.subsample)
    negative = np.diff(work.noise.bounds.astype(np.float64))
    ratio = kept / kept.sum() / np.maximum(settings.negatives * negative / negative.sum(), 1e-30)
    return np.log1p(1 / ratio), np.log1p(ratio)
