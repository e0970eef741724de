"""Pretraining from datasets to a run folder: begin or continue, train, leave everything behind."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lmprep.allocator import keep_freed_memory
from lmprep.errors import CheckpointError
from lmprep.keyed_random import key_for
from lmprep.models.bi_lstm import BiLstmModel
from lmprep.models.construction import count_parameters, new_model
from lmprep.models.language_model import LanguageModel
from lmprep.pretrain_settings import PretrainSettings
from lmprep.shards.reader import Dataset
from lmprep.training import checkpoints, run_folder
from lmprep.training.devices import choose_device, choose_precision, precision_name
from lmprep.training.distributed import Ranks, joined
from lmprep.training.embeddings import put_embeddings
from lmprep.training.failures import full_disk_explained
from lmprep.training.initial import begin_from
from lmprep.training.interruption import StopRequest
from lmprep.training.loop import OnProgress, Trainer, Validate
from lmprep.training.metrics import MetricsWriter, cut_metrics
from lmprep.training.preparation import Setup, prepare
from lmprep.training.tasks import Task
from lmprep.training.validation import score

_log = logging.getLogger("lmprep")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a training came to.

    Args:
        run: the run folder.
        step, tokens: done and seen, padding not counted.
        seconds: of training, all sittings together.
        losses: of the last report, by the names of `steps.LOSSES`.
        validation: numbers of the last validation; empty without one.
        validation_step: after which it was made; 0 without one.
        already_finished: the run was complete, and nothing was done.
    """

    run: Path
    step: int
    tokens: int
    seconds: float
    losses: dict[str, float]
    validation: dict[str, float]
    validation_step: int
    already_finished: bool


def pretrain(
    datasets: Sequence[Path],
    run: Path,
    settings: PretrainSettings,
    *,
    validation: Path | None = None,
    resume: bool = False,
    on_progress: OnProgress = lambda _: None,
) -> Result:
    """Train a model on datasets into a run folder, together with the other ranks of `torchrun`.

    Args:
        datasets: of one tokenizer, objective and kind of pairs.
        run: must not exist, unless `resume` continues it; then the settings must be the same
            (`run_folder.settings_for` completes them).
        validation: held-out dataset that is scored at every checkpoint; a run that is continued
            has its own, unless another is given.
        on_progress: called whenever a line of metrics is written, on the first rank only.

    Raises:
        UsageError: settings, datasets and folder do not go together.
        Interrupted: a signal asked to stop, and a checkpoint was saved.
        CheckpointError: the run cannot be continued, or a checkpoint cannot be written.
        TrainingError: step after step had a loss that is infinite, not a number, or far too high.
    """
    device = choose_device(settings.device)
    with full_disk_explained(run), StopRequest() as stop, ExitStack() as opened:
        with stop.at_once():  # as long as nothing is trained there is nothing to save
            ranks = opened.enter_context(joined(device))
            # Asked of one rank: the first to go on makes the folder.
            continued = ranks.lead(lambda: run if resume and run.exists() else None)
            setup = prepare(datasets, settings, validation, continued)
            description = run_folder.describe_run(
                settings, setup.model, setup.stages, setup.validation, setup.teacher_sha256
            )
            opened.enter_context(
                ranks.lead_in(partial(_open_run, run, continued, description, setup))
            )
            fingerprint = run_folder.fingerprint(description)
            trainer = _new_trainer(setup, run, device, ranks, fingerprint, on_progress)
            _restore(trainer, run, ranks, fingerprint)
        already_finished = trainer.pace.finished and not trainer.validation_due
        if not already_finished:
            _train(trainer, run, ranks, stop)
    return Result(
        run=run,
        step=trainer.pace.counters.step,
        tokens=trainer.pace.counters.tokens,
        seconds=trainer.pace.clock.seconds,
        losses=trainer.losses,
        validation=trainer.validation,
        validation_step=trainer.validation_step,
        already_finished=already_finished,
    )


@contextmanager
def _open_run(
    run: Path, continued: Path | None, description: dict[str, Any], setup: Setup
) -> Iterator[None]:
    """The run folder, made or found to be the same, kept from other trainings."""
    if continued:
        run_folder.check_same(run, description)
    else:
        run_folder.create(run, description, setup.stages)
    with run_folder.locked(run):
        run_folder.count_tokens(run, setup.stages, setup.settings.seed)
        checkpoints.clear_temporaries(run)
        yield


def _new_trainer(
    setup: Setup,
    run: Path,
    device: torch.device,
    ranks: Ranks,
    fingerprint: str,
    on_progress: OnProgress,
) -> Trainer:
    keep_freed_memory()
    precision = choose_precision(setup.settings.precision, device)
    model = _new_model(setup).to(device)
    if ranks.leads:
        _log.info(
            "%s of %d parameters on %s in %s, %d rows in %d datasets.",
            setup.settings.model or setup.model.kind,
            count_parameters(model),
            device,
            precision_name(precision),
            sum(len(dataset) for dataset in setup.stages.datasets),
            len(setup.stages.datasets),
        )
    return Trainer(
        run,
        model,
        setup.stages,
        setup.settings,
        precision=precision,
        fingerprint=fingerprint,
        ranks=ranks,
        validate=_validator(setup.validation, precision),
        on_progress=on_progress if ranks.leads else lambda _: None,
        teacher=None if setup.teacher is None else setup.teacher.model(device),
    )


def _new_model(setup: Setup) -> LanguageModel:
    model = new_model(setup.model, int(key_for(setup.settings.seed, "weights")))
    if isinstance(model, BiLstmModel) and setup.model.filters:
        model.spelled.spellings.copy_(setup.spellings())
    if setup.initial is not None:
        begin_from(model, setup.initial)
    if setup.embeddings is not None:
        put_embeddings(model, setup.embeddings)
    _freeze_unused(model, setup.stages.task)
    return model


def _validator(dataset: Dataset | None, precision: torch.dtype) -> Validate | None:
    if dataset is None:
        return None
    return lambda model, before_batch: score(
        model, dataset, precision, before_batch=before_batch
    ).means()


def _restore(trainer: Trainer, run: Path, ranks: Ranks, fingerprint: str) -> None:
    """Go on from the newest intact checkpoint, if there is one; what came after it goes."""
    checkpoint = checkpoints.load_newest(run)
    if checkpoint is None:
        ranks.lead(lambda: cut_metrics(run, 0))
        return
    if checkpoint.state["fingerprint"] != fingerprint:
        raise CheckpointError(
            f"the checkpoint of step {checkpoint.state['step']} was not made with the settings "
            "in the run's recipe.toml",
            path=run,
            fix="Put recipe.toml back as it was, or begin a new run",
        )
    step = checkpoint.state["step"]
    ranks.lead(lambda: checkpoints.discard_after(run, step))
    trainer.restore(checkpoint, ranks.lead(lambda: cut_metrics(run, step)))


def _train(trainer: Trainer, run: Path, ranks: Ranks, stop: StopRequest) -> None:
    if not ranks.leads:
        trainer.train(None, stop)
        return
    with closing(MetricsWriter(run, trainer.pace.counters.step)) as metrics:
        trainer.train(metrics, stop)


def _freeze_unused(model: LanguageModel, task: Task) -> None:
    """Leave out of the training what no loss asks for: the heads of pairs, without pairs.

    Else gradients of theirs would be waited for where several processes train.
    """
    if task.pairs == "none":
        for name, parameter in model.named_parameters():
            if name.startswith(("encoder.pooler.", "pair_head.")):
                parameter.requires_grad_(False)
