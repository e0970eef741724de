"""Pretraining from datasets to a run folder: begin or continue, train, leave everything behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lmprep.errors import CheckpointError, UsageError
from lmprep.keyed_random import key_for
from lmprep.models.bert import Bert, new_bert
from lmprep.models.settings import ModelSettings, model_settings
from lmprep.settings import PretrainSettings
from lmprep.shards.reader import Dataset
from lmprep.training import checkpoints, run_folder
from lmprep.training.data import TrainingData, sequence_length
from lmprep.training.devices import choose_device, choose_precision, keep_freed_memory
from lmprep.training.interruption import StopRequest
from lmprep.training.loop import OnProgress, Trainer
from lmprep.training.metrics import MetricsWriter
from lmprep.training.validation import score


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a training came to.

    Args:
        run: the run folder.
        step, tokens: done and seen, padding not counted.
        seconds: of training, all sittings together.
        losses: of the last report: loss, mlm_loss, pair_loss, grad_norm.
        validation: numbers of the last validation; empty without one.
        already_finished: the run was complete, and nothing was done.
    """

    run: Path
    step: int
    tokens: int
    seconds: float
    losses: dict[str, float]
    validation: dict[str, float]
    already_finished: bool


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Datasets, model and settings that have been found to go together."""

    settings: PretrainSettings
    model: ModelSettings
    data: TrainingData
    validation: Dataset | None


def prepare(
    datasets: Sequence[Path], settings: PretrainSettings, validation: Path | None = None
) -> Setup:
    """Check that datasets and settings go together, before any work.

    Raises:
        UsageError: they do not.
        DatasetError: a dataset is unfinished or damaged.
    """
    data = TrainingData(
        datasets,
        batch_tokens=settings.batch_tokens,
        seed=settings.seed,
        static=settings.static,
    )
    changes = {}
    if settings.dropout is not None:
        changes = {"dropout": settings.dropout, "attention_dropout": settings.dropout}
    model = model_settings(settings.model, vocabulary_size=data.vocabulary.size, **changes)
    held_out = None if validation is None else Dataset(validation)
    if held_out is not None:
        data.check_fits(held_out)
    for dataset in [*data.datasets, *([held_out] if held_out else [])]:
        if (length := sequence_length(dataset.manifest)) > model.max_length:
            raise UsageError(
                f"sequences of {length} tokens do not fit model {settings.model}, which has "
                f"{model.max_length} positions",
                path=dataset.folder,
                fix="Build shorter sequences, or give a model file with a larger max_length",
            )
    return Setup(settings=settings, model=model, data=data, validation=held_out)


def pretrain(
    datasets: Sequence[Path],
    run: Path,
    settings: PretrainSettings,
    *,
    validation: Path | None = None,
    resume: bool = False,
    on_progress: OnProgress = lambda _: None,
) -> Result:
    """Train a model on datasets into a run folder.

    Args:
        datasets: of one tokenizer, objective and kind of pairs.
        run: must not exist, unless `resume` continues it; then the settings must be the same
            (`run_folder.settings_for` completes them).
        validation: held-out dataset that is scored at every checkpoint.
        on_progress: called whenever a line of metrics is written.

    Raises:
        UsageError: settings, datasets and folder do not go together.
        Interrupted: a signal asked to stop, and a checkpoint was saved.
        CheckpointError: the run cannot be continued.
        TrainingError: the loss became infinite or not a number.
    """
    setup = prepare(datasets, settings, validation)
    device = choose_device(settings.device)
    description = run_folder.describe_run(settings, setup.model, setup.data)
    fingerprint = run_folder.fingerprint(description)
    if resume and run.exists():
        run_folder.check_same(run, description)
    else:
        run_folder.create(run, description, setup.data)
    keep_freed_memory()
    precision = choose_precision(settings.precision, device)
    trainer = Trainer(
        run,
        _new_model(setup).to(device),
        setup.data,
        settings,
        precision=precision,
        fingerprint=fingerprint,
        validate=_validator(setup.validation, precision),
        on_progress=on_progress,
    )
    _restore(trainer, run, fingerprint)
    already_finished = trainer.finished
    if not already_finished:
        _train(trainer, run)
    return Result(
        run=run,
        step=trainer.counters.step,
        tokens=trainer.counters.tokens,
        seconds=trainer.elapsed,
        losses=trainer.losses,
        validation=trainer.validation,
        already_finished=already_finished,
    )


def _new_model(setup: Setup) -> Bert:
    return new_bert(setup.model, int(key_for(setup.settings.seed, "weights")))


def _validator(
    dataset: Dataset | None, precision: torch.dtype
) -> Callable[[Bert], dict[str, float]] | None:
    if dataset is None:
        return None
    return lambda model: score(model, dataset, precision).means()


def _restore(trainer: Trainer, run: Path, fingerprint: str) -> None:
    """Go on from the newest intact checkpoint, if there is one."""
    checkpoints.clear_temporaries(run)
    checkpoint = checkpoints.load_newest(run)
    if checkpoint is None:
        return
    if checkpoint.state["fingerprint"] != fingerprint:
        raise CheckpointError(
            f"the checkpoint of step {checkpoint.state['step']} was not made with the settings "
            "in the run's recipe.toml",
            path=run,
            fix="Put recipe.toml back as it was, or begin a new run",
        )
    trainer.restore(checkpoint)


def _train(trainer: Trainer, run: Path) -> None:
    metrics = MetricsWriter(run, trainer.counters.step)
    try:
        with StopRequest() as stop:
            trainer.train(metrics, stop)
    finally:
        metrics.close()
