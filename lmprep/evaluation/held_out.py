"""How well a run predicts a held-out dataset, and how well simple guesses do on the same tokens."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.errors import CheckpointError
from lmprep.models.bert import Bert, outline
from lmprep.models.settings import ModelSettings
from lmprep.settings import settings_from
from lmprep.shards.reader import Dataset
from lmprep.training import checkpoints, run_folder
from lmprep.training.devices import choose_device, choose_precision, keep_freed_memory
from lmprep.training.fit import check_length, check_traits
from lmprep.training.unigram import load_unigrams
from lmprep.training.validation import Scores, score


def evaluate(
    run: Path,
    dataset: Path,
    *,
    step: int | None = None,
    precision: str = "fp32",
    device: str = "auto",
) -> dict[str, Any]:
    """Score a checkpoint on a dataset, with the masks stored in it.

    Args:
        run: a run folder.
        dataset: a dataset of the same tokenizer and kind of pairs; its first copy is scored.
        step: of the checkpoint; by default the newest intact one.
        precision, device: a value of `settings.PRECISIONS` and of `settings.DEVICES`.

    Returns:
        `run`, `dataset`, `step`, `rows`, `tokens` (scored); `mlm` and `unigram`: cross_entropy
        (nats), perplexity and accuracy of the model and of always guessing by the token counts of
        the training rows; with pairs `pairs`: cross_entropy, accuracy and `majority`, the accuracy
        of always giving the more frequent label.

    Raises:
        UsageError: no run, or a dataset that does not go with it.
        CheckpointError: no such checkpoint, or a damaged one.
    """
    config = run_folder.read_config(run)
    opened = Dataset(dataset)
    check_traits(opened, config, run)
    check_length(opened, settings_from(ModelSettings, config["model"]))
    counts = load_unigrams(run)
    computing_on = choose_device(device)
    model, found = load_model(run, step)
    keep_freed_memory()
    scores = score(model.to(computing_on), opened, choose_precision(precision, computing_on))
    return {
        "run": str(run),
        "dataset": str(dataset),
        "step": found,
        "rows": scores.rows,
        "tokens": int(scores.labels.sum()),
        **_metrics(scores),
        "unigram": unigram_metrics(counts, scores.labels),
    }


def load_model(run: Path, step: int | None = None) -> tuple[Bert, int]:
    """The model of a checkpoint (by default the newest intact one) on CPU, and its step."""
    if step is None:
        checkpoint = checkpoints.load_newest(run, model_only=True)
    else:
        checkpoint = checkpoints.load(run, step, model_only=True)
    if checkpoint is None:
        raise CheckpointError(
            "the run has no checkpoint yet", path=run, fix="Go on with lmprep pretrain --resume"
        )
    model = outline(settings_from(ModelSettings, run_folder.read_config(run)["model"]))
    model.load_state_dict(checkpoint.model, assign=True)
    return model, int(checkpoint.state["step"])


def _metrics(scores: Scores) -> dict[str, Any]:
    means = scores.means()
    metrics: dict[str, Any] = {"mlm": _language_metrics(means["mlm_loss"], means["mlm_accuracy"])}
    if "pair_loss" in means:
        metrics["pairs"] = {
            "cross_entropy": means["pair_loss"],
            "accuracy": means["pair_accuracy"],
            "majority": int(scores.pairs.max()) / int(scores.pairs.sum()),
        }
    return metrics


def unigram_metrics(counts: NDArray[np.int64], labels: NDArray[np.int64]) -> dict[str, float]:
    """What guessing by frequency alone achieves on the scored tokens.

    Args:
        counts: int64 [V], of each id in the training rows; one is added to each.
        labels: int64 [V], how often each id is to be predicted.
    """
    smoothed = counts + 1
    surprisal = math.log(smoothed.sum()) - np.log(smoothed)
    total = int(labels.sum())
    return _language_metrics(
        float((labels * surprisal).sum()) / total, int(labels[counts.argmax()]) / total
    )


def _language_metrics(cross_entropy: float, accuracy: float) -> dict[str, float]:
    return {
        "cross_entropy": cross_entropy,
        "perplexity": math.exp(cross_entropy),
        "accuracy": accuracy,
    }
