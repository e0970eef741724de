"""The training loop: step, report, save, validate; stop when the budget is spent or on a signal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lmprep.errors import Interrupted
from lmprep.models.encoder import EncoderModel
from lmprep.models.language_model import LanguageModel
from lmprep.pretrain_settings import PretrainSettings
from lmprep.training import failures
from lmprep.training.checkpoint_writer import CheckpointWriter
from lmprep.training.checkpoints import Checkpoint
from lmprep.training.data import StepData, steps
from lmprep.training.devices import compiles, micro_rows, precision_name
from lmprep.training.distributed import Ranks
from lmprep.training.interruption import StopRequest
from lmprep.training.metrics import MetricsWriter, Progress
from lmprep.training.optimizers import peak_learning_rate
from lmprep.training.pace import Counters, Pace
from lmprep.training.reports import Reporter
from lmprep.training.schedules import learning_rate
from lmprep.training.stages import Stages
from lmprep.training.steps import Updater, targets
from lmprep.training.throughput import Peak, batch_flops, peak

OnProgress = Callable[[Progress], None]
# Scores a model; calls the function before each batch.
Validate = Callable[[LanguageModel, Callable[[], None]], dict[str, float]]
_log = logging.getLogger("lmprep")


class Trainer:
    """A model in training.

    Args:
        run: the run folder.
        model: on its device, the same on every rank.
        stages: what it sees.
        precision: of the matrix products.
        fingerprint: of what decides the run; checkpoints carry it.
        ranks: the processes that train together.
        validate: gives the numbers of a validation; None when there is nothing to validate on.
        teacher: of a distillation, on its device.
    """

    def __init__(
        self,
        run: Path,
        model: LanguageModel,
        stages: Stages,
        settings: PretrainSettings,
        *,
        precision: torch.dtype,
        fingerprint: str,
        ranks: Ranks,
        validate: Validate | None = None,
        on_progress: OnProgress = lambda _: None,
        teacher: EncoderModel | None = None,
    ) -> None:
        self.pace = Pace(settings, ranks, model.device)
        self.validation: dict[str, float] = {}
        self.validation_step = 0
        self._run, self._stages, self._settings = run, stages, settings
        self._device, self._precision, self._ranks = model.device, precision, ranks
        self._fingerprint, self._validate, self._on_progress = fingerprint, validate, on_progress
        self._updater = Updater(model, settings, precision, ranks, teacher)
        self._writer = CheckpointWriter(run, settings.keep_last, settings.keep_every)
        self._peak_rate = peak_learning_rate(settings, model.settings)
        self._reporter = Reporter(stages.task.losses, self._peak)
        self._rate = 0.0  # the learning rate
        self._saved: int | None = None

    def restore(self, checkpoint: Checkpoint, lines: Sequence[dict[str, Any]]) -> None:
        """Go on from a checkpoint.

        Args:
            lines: of the metrics up to there; the last validation is taken from them.
        """
        state = checkpoint.state
        self._updater.load(checkpoint.model, checkpoint.optimizer)
        self._updater.guard.restore(state["guard"])
        self.pace.restore(state)
        self._reporter.restore(state["reporter"], state["seconds"])
        self._saved = state["step"]
        for line in lines:
            if "validation" in line:
                self.validation, self.validation_step = line["validation"], line["step"]
        if state["precision"] != (now := precision_name(self._precision)):
            _log.warning(
                "%s: begun in %s, going on in %s: not what an uninterrupted run would give.",
                self._run, state["precision"], now,
            )  # fmt: skip

    @property
    def _counters(self) -> Counters:
        return self.pace.counters

    @property
    def losses(self) -> dict[str, float]:
        """Means of the last report."""
        return self._reporter.means

    @property
    def validation_due(self) -> bool:
        """Are these the weights of a checkpoint still to be validated?"""
        validated = self._validate is None or self.validation_step == self._counters.step
        return not validated and self._due(self._settings.checkpoint_every)

    def train(self, metrics: MetricsWriter | None, stop: StopRequest) -> None:
        """Train until the budget is spent.

        Args:
            metrics: where lines go; None on ranks that do not lead.

        Raises:
            Interrupted: a signal asked to stop; a checkpoint is saved.
            TrainingError: too many steps in a row were skipped, or the memory is too small.
            CheckpointError: a checkpoint could not be written.
        """
        self.pace.clock.start()
        with self._writer:
            self._heed(stop)
            # A signal may have kept the last sitting from it.
            self._validate_if_due(metrics, stop)
            while not self.pace.finished:
                self._next_stage()  # the last sitting may have ended with a stage
                self._train_stage(metrics, stop)

    def _train_stage(self, metrics: MetricsWriter | None, stop: StopRequest) -> None:
        """Train until the present stage or the budget ends."""
        with closing(self._steps()) as batches:
            for data in batches:
                self._step(data, stop)
                self._writer.check()
                self.pace.agree(stop)
                if reporting := self._due(self._settings.log_every):
                    self._report(metrics)
                if self._due(self._settings.checkpoint_every):
                    self._save()
                    self._validate_if_due(metrics, stop)
                if reporting:
                    self._on_progress(self._progress())
                self._heed(stop)
                if self.pace.finished or self._next_stage():
                    return

    def _steps(self) -> Generator[StepData, None, None]:
        data, ranks = self._stages.all[self._counters.stage].data, self._ranks
        return steps(
            data,
            self._counters.position,
            rank=ranks.rank,
            ranks=ranks.count,
            micro_rows=micro_rows(self._settings.micro_tokens, data.task.length, self._device),
            static_shapes=compiles(self._settings.compile, self._device),
            pinned=self._device.type == "cuda",
        )

    def _next_stage(self) -> bool:
        """Go on to the next stage if it is its turn."""
        stage = self._stages.at(self.pace.spent())
        if stage == self._counters.stage:
            return False
        self._counters.stage, self._counters.position = stage, 0
        self._updater.guard.forget()
        return True

    def _due(self, every: int) -> bool:
        return self.pace.finished or self._counters.step % every == 0

    def _step(self, data: StepData, stop: StopRequest) -> None:
        middle = self.pace.spent(more_steps=0.5, more_tokens=data.tokens / 2)
        self._rate = learning_rate(self._settings, self._peak_rate, middle)
        own = sum(batch_flops(batch, self._updater.model.settings) for batch in data.batches)
        *counts, flops = self._ranks.total([*targets(data.batches), own], self._device)
        try:
            losses, admitted = self._gradients(data, counts, stop)
            if admitted:
                self._updater.optimizer.step(self._rate)
        except torch.OutOfMemoryError:
            raise failures.out_of_memory(self._run, self._settings.batch_tokens) from None
        self._counters.step += 1
        self._counters.tokens += data.tokens
        self._counters.position = data.next
        self._reporter.add(losses if admitted else None, data.tokens, flops)
        self._refuse_many_skips(losses)

    def _gradients(
        self, data: StepData, counts: Sequence[float], stop: StopRequest
    ) -> tuple[dict[str, float], bool]:
        try:
            return self._updater.gradients(data.batches, counts, self._counters.step)
        except torch.OutOfMemoryError:
            raise
        except Exception:
            # A compiler dies of the Ctrl-C that we remember; no weight has changed yet.
            if stop.kind is None:
                raise
            if self._ranks.count == 1:  # others may wait in this step for ever
                self._save()
            self._writer.wait()
            raise self._stopped(stop.kind) from None

    def _refuse_many_skips(self, losses: Mapping[str, float]) -> None:
        in_a_row = self._updater.guard.in_a_row
        if in_a_row >= self._settings.skips:
            self._writer.wait()
            raise failures.diverged(self._run, self._counters.step, in_a_row, losses)

    def _report(self, metrics: MetricsWriter | None) -> None:
        """Write a line over the steps since the last one."""
        line = self._reporter.close(
            lr=self._rate, skipped=self._updater.guard.skipped, seconds=self.pace.clock.seconds
        )
        if metrics is not None:
            step, tokens = self._counters.step, self._counters.tokens
            metrics.write({"step": step, "tokens": tokens, "epoch": self._epoch(), **line})

    def _epoch(self) -> float:
        return self._stages.all[self._counters.stage].data.epoch(self._counters.position)

    def _progress(self) -> Progress:
        spent = min(1.0, self.pace.spent())
        return self._reporter.progress(
            step=self._counters.step,
            fraction=spent,
            tokens=self._counters.tokens,
            epoch=self._epoch(),
            stage=self._stages.all[self._counters.stage].name,
            seconds_left=self.pace.clock.seconds * (1 - spent) / spent,
            validation=self.validation,
            validation_step=self.validation_step,
        )

    def _peak(self) -> Peak:
        """What the devices of all ranks could do."""
        one = peak(self._device, self._precision)
        return replace(one, flops=self._ranks.count * one.flops)

    def _validate_if_due(self, metrics: MetricsWriter | None, stop: StopRequest) -> None:
        """Validate once a checkpoint is saved: so a signal can stop that without losing steps."""
        if self._validate is None or not self.validation_due:
            return
        with self.pace.clock.paused():
            figures = self._validate(self._updater.whole_model(), lambda: self._heed(stop))
        self._writer.wait()
        failures.refuse_not_finite(self._run, self._counters.step, figures)
        self.validation, self.validation_step = figures, self._counters.step
        if metrics is not None:
            metrics.write({"step": self._counters.step, "validation": figures})

    def _save(self) -> None:
        if self._saved == self._counters.step:
            return
        with self.pace.clock.paused():
            model, optimizer = self._updater.tensors()
            if self._ranks.leads:
                checkpoint = Checkpoint(model=model, optimizer=optimizer, state=self._state())
                self._writer.save(checkpoint)
        self._saved = self._counters.step

    def _state(self) -> dict[str, Any]:
        return {
            **self.pace.state(),
            "reporter": self._reporter.state(),
            "guard": self._updater.guard.state(),
            "device": self._device.type,
            "precision": precision_name(self._precision),
            "ranks": self._ranks.count,
            "fingerprint": self._fingerprint,
        }

    def _heed(self, stop: StopRequest) -> None:
        """Save and leave if a signal asked for it, on any rank."""
        self.pace.agree(stop)
        self._leave_if_asked()

    def _leave_if_asked(self) -> None:
        if self.pace.asked is not None:
            self._save()
            self._writer.wait()
            self._ranks.total([0.0], self._device)  # until the first rank has written
            raise self._stopped(self.pace.asked)

    def _stopped(self, kind: type[Interrupted]) -> Interrupted:
        datasets = [dataset.folder for dataset in self._stages.datasets]
        return failures.stopped(kind, self._run, self._counters.step, datasets)
