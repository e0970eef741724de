"""How well a run predicts a held-out dataset, and how well simple guesses do on the same tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmprep.allocator import keep_freed_memory
from lmprep.errors import CheckpointError
from lmprep.models.construction import outline
from lmprep.models.language_model import LanguageModel
from lmprep.shards.reader import Dataset
from lmprep.training import checkpoints, run_folder
from lmprep.training.devices import choose_device, choose_precision
from lmprep.training.fit import check_model, check_traits
from lmprep.training.unigram import load_unigrams
from lmprep.training.validation import Scores, Tally, score
from lmprep.vectors.folder import KIND
from lmprep.vectors.scores import evaluate_vectors


def evaluate(
    run: Path,
    dataset: Path,
    *,
    step: int | None = None,
    precision: str = "fp32",
    device: str = "auto",
) -> dict[str, Any]:
    """Score a checkpoint on a dataset, with the corruption stored in it.

    Args:
        run: a run folder.
        dataset: a dataset of the same tokenizer, objective and kind of pairs; its first copy is
            scored.
        step: of the checkpoint; by default the newest intact one.
        precision, device: of `PRECISIONS` and `DEVICES` in `pretrain_settings`.

    Returns:
        `run`, `dataset`, `objective`, `step`, `rows`; by sort of prediction `tokens`,
        cross_entropy (nats), perplexity and accuracy, sorts that do not occur left out:

        `corrupted`: tokens the inputs do not show (every next token, for clm and bilm);
        `backward`: every token from those behind it, for bilm;
        `unigram`: always guessing by the token counts of the training rows, on the same tokens;
        `copied`: tokens that the inputs of a denoising objective show;
        `marks`: sentinels, starts and ends;
        `boundary`: tokens of spans, from the two tokens around them and their place alone.

        `text`, for clm: `bits_per_byte` of the text's `bytes`, comparable across vocabularies.

        `pairs`: `rows`, cross_entropy, accuracy and `majority`, the accuracy of always giving the
        more frequent label.

        `replaced`, for electra: `tokens`, cross_entropy, accuracy and auc of the verdicts on all
        tokens; of always giving the base rate, `replaced_share`, base_cross_entropy and
        base_accuracy. What the generator draws is the same in every evaluation.

        `ngrams`, for infoword: `contexts`; cross_entropy, information (nats, log of the candidates
        minus the cross-entropy), accuracy, the mean number of candidates, and `chance`, the
        accuracy of a blind choice among them.

        Of word vectors what `lmprep.vectors.scores.evaluate_vectors` says.

    Raises:
        UsageError: no run, or a dataset that does not go with it.
        CheckpointError: no such checkpoint, or a damaged one.
    """
    config = run_folder.read_config(run)
    if config["model"]["kind"] == KIND:
        return evaluate_vectors(run, dataset, step=step)
    opened = Dataset(dataset)
    check_traits(opened, config, run)
    check_model(opened, run_folder.read_model(run))
    counts = load_unigrams(run)
    computing_on = choose_device(device)
    model, found = load_model(run, step)
    keep_freed_memory()
    scores = score(model.to(computing_on), opened, choose_precision(precision, computing_on))
    return {
        "run": str(run),
        "dataset": str(dataset),
        "objective": opened.manifest["objective"],
        "step": found,
        "rows": scores.rows,
        **_metrics(scores),
        "unigram": unigram_metrics(counts, scores.labels),
        **_of_text(opened.manifest, scores),
    }


def _of_text(manifest: Mapping[str, Any], scores: Scores) -> dict[str, Any]:
    """What the text costs, whatever its tokens: of causal models, whose tokens are all predicted.

    The tokens of the text, and the end of each document, are taken to cost the mean of the scored
    ones: the first of a row is not scored.
    """
    if manifest["objective"] != "clm":
        return {}
    totals, copies = manifest["totals"], manifest["settings"]["copies"]
    tokens = manifest["input_tokens"] + manifest["documents"]
    sorts = (scores.corrupted, scores.marks)  # the ends of documents are marks
    mean = sum(tally.loss for tally in sorts) / sum(tally.count for tally in sorts)
    bits = mean / math.log(2) * tokens
    size = totals["text_bytes"] // copies
    return {"text": {"bytes": size, "bits_per_byte": bits / size}}


def load_model(run: Path, step: int | None = None) -> tuple[LanguageModel, int]:
    """The model of a checkpoint (by default the newest intact one) on CPU, and its step."""
    if step is None:
        checkpoint = checkpoints.load_newest(run, model_only=True)
    else:
        checkpoint = checkpoints.load(run, step, model_only=True)
    if checkpoint is None:
        raise CheckpointError(
            "the run has no checkpoint yet", path=run, fix="Go on with lmprep pretrain --resume"
        )
    model = outline(run_folder.read_model(run))
    model.load_state_dict(checkpoint.model, assign=True)
    return model, int(checkpoint.state["step"])


_SORTS = ("corrupted", "backward", "copied", "marks", "boundary")


def _metrics(scores: Scores) -> dict[str, Any]:
    """The figures of every sort of prediction that occurs."""
    sorts = {name: getattr(scores, name) for name in _SORTS}
    metrics: dict[str, Any] = {
        k: _tally_metrics(tally) for k, tally in sorts.items() if tally.count
    }
    if scores.pairs.count:
        metrics["pairs"] = {
            "rows": scores.pairs.count,
            "cross_entropy": scores.pairs.cross_entropy,
            "accuracy": scores.pairs.accuracy,
            "majority": int(scores.pair_labels.max()) / scores.pairs.count,
        }
    if scores.replaced is not None:
        metrics["replaced"] = scores.replaced.figures()
    if scores.ngrams is not None and scores.ngrams.contexts:
        metrics["ngrams"] = scores.ngrams.figures()
    return metrics


def _tally_metrics(tally: Tally) -> dict[str, float]:
    return _language_metrics(tally.count, tally.cross_entropy, tally.accuracy)


def unigram_metrics(counts: NDArray[np.int64], labels: NDArray[np.int64]) -> dict[str, float]:
    """What guessing by frequency alone achieves on the corrupted tokens.

    Args:
        counts: int64 [V], of each id in the training rows; one is added to each.
        labels: int64 [V], how often each id is to be predicted.
    """
    smoothed = counts + 1
    surprisal = math.log(smoothed.sum()) - np.log(smoothed)
    total = int(labels.sum())
    return _language_metrics(
        total, float((labels * surprisal).sum()) / total, int(labels[counts.argmax()]) / total
    )


def _language_metrics(tokens: int, cross_entropy: float, accuracy: float) -> dict[str, float]:
    return {
        "tokens": tokens,
        "cross_entropy": cross_entropy,
        "perplexity": math.exp(cross_entropy),
        "accuracy": accuracy,
    }
