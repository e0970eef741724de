"""The training loop: step, report, save, validate; stop when the budget is spent or on a signal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from lmprep.errors import Interrupted, Terminated
from lmprep.models.language_model import LanguageModel
from lmprep.settings import PretrainSettings
from lmprep.training import failures
from lmprep.training.checkpoint_writer import CheckpointWriter
from lmprep.training.checkpoints import Checkpoint
from lmprep.training.clock import Clock
from lmprep.training.data import StepData, steps
from lmprep.training.devices import compiles, micro_rows, precision_name
from lmprep.training.distributed import Ranks
from lmprep.training.interruption import StopRequest
from lmprep.training.metrics import MetricsWriter, Progress
from lmprep.training.optimizers import peak_learning_rate
from lmprep.training.reports import Reporter
from lmprep.training.schedules import Budget, learning_rate
from lmprep.training.stages import Stages
from lmprep.training.steps import Updater, targets
from lmprep.training.throughput import Peak, batch_flops, peak

OnProgress = Callable[[Progress], None]
# Scores a model; calls the function before each batch.
Validate = Callable[[LanguageModel, Callable[[], None]], dict[str, float]]
_log = logging.getLogger("lmprep")


@dataclass
class Counters:
    """How far a training is.

    Args:
        step: updates done, skipped ones included.
        tokens: seen, padding not counted.
        stage: number of the present stage.
        position: rows of its endless order that are taken.
    """

    step: int = 0
    tokens: int = 0
    stage: int = 0
    position: int = 0


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
    ) -> None:
        self.counters, self.clock = Counters(), Clock()
        self.finished = False  # is the budget spent?
        self.validation: dict[str, float] = {}
        self.validation_step = 0
        self._run, self._stages, self._settings = run, stages, settings
        self._device, self._precision, self._ranks = model.device, precision, ranks
        self._fingerprint, self._validate, self._on_progress = fingerprint, validate, on_progress
        self._updater = Updater(model, settings, precision, ranks)
        self._writer = CheckpointWriter(run, settings.keep_last, settings.keep_every)
        self._budget = Budget.of(settings)
        self._peak_rate = peak_learning_rate(settings, model.settings)
        self._reporter = Reporter(stages.task.losses, self._peak)
        self._seconds = 0.0  # of the clock of the first rank, when it was last asked
        self._asked: type[Interrupted] | None = None  # to stop, by a signal to any rank
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
        self.counters = Counters(**{name: state[name] for name in vars(self.counters)})
        self.clock, self._seconds = Clock(state["seconds"]), state["seconds"]
        self._reporter.restore(state["reporter"], self._seconds)
        self._saved = state["step"]
        self.finished = self._spent() >= 1
        for line in lines:
            if "validation" in line:
                self.validation, self.validation_step = line["validation"], line["step"]
        if state["precision"] != (now := precision_name(self._precision)):
            _log.warning(
                "%s: begun in %s, going on in %s: not what an uninterrupted run would give.",
                self._run, state["precision"], now,
            )  # fmt: skip

    @property
    def losses(self) -> dict[str, float]:
        """Means of the last report."""
        return self._reporter.means

    @property
    def validation_due(self) -> bool:
        """Are these the weights of a checkpoint still to be validated?"""
        validated = self._validate is None or self.validation_step == self.counters.step
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
        self.clock.start()
        with self._writer:
            self._heed(stop)
            # A signal may have kept the last sitting from it.
            self._validate_if_due(metrics, stop)
            while not self.finished:
                self._next_stage()  # the last sitting may have ended with a stage
                self._train_stage(metrics, stop)

    def _train_stage(self, metrics: MetricsWriter | None, stop: StopRequest) -> None:
        """Train until the present stage or the budget ends."""
        with closing(self._steps()) as batches:
            for data in batches:
                self._step(data, stop)
                self._writer.check()
                self._agree(stop)
                if reporting := self._due(self._settings.log_every):
                    self._report(metrics)
                if self._due(self._settings.checkpoint_every):
                    self._save()
                    self._validate_if_due(metrics, stop)
                if reporting:
                    self._on_progress(self._progress())
                self._leave_if_asked()
                if self.finished or self._next_stage():
                    return

    def _steps(self) -> Generator[StepData, None, None]:
        data, ranks = self._stages.all[self.counters.stage].data, self._ranks
        return steps(
            data,
            self.counters.position,
            rank=ranks.rank,
            ranks=ranks.count,
            micro_rows=micro_rows(self._settings.micro_tokens, data.task.length, self._device),
            static_shapes=compiles(self._settings.compile, self._device),
            pinned=self._device.type == "cuda",
        )

    def _next_stage(self) -> bool:
        """Go on to the next stage if it is its turn."""
        stage = self._stages.at(self._spent())
        if stage == self.counters.stage:
            return False
        self.counters.stage, self.counters.position = stage, 0
        self._updater.guard.forget()
        return True

    def _due(self, every: int) -> bool:
        return self.finished or self.counters.step % every == 0

    def _step(self, data: StepData, stop: StopRequest) -> None:
        middle = self._spent(more_steps=0.5, more_tokens=data.tokens / 2)
        self._rate = learning_rate(self._settings, self._peak_rate, middle)
        own = sum(batch_flops(batch, self._updater.model.settings) for batch in data.batches)
        *counts, flops = self._ranks.total([*targets(data.batches), own], self._device)
        try:
            losses, admitted = self._updater.update(
                data.batches, counts, self.counters.step, self._rate
            )
        except torch.OutOfMemoryError:
            raise failures.out_of_memory(self._run, self._settings.batch_tokens) from None
        except Exception:
            # A compiler dies of the Ctrl-C that we remember; no weight has changed yet.
            self._asked = stop.kind
            self._leave_if_asked()
            raise
        self.counters.step += 1
        self.counters.tokens += data.tokens
        self.counters.position = data.next
        self._reporter.add(losses if admitted else None, data.tokens, flops)
        self._refuse_many_skips(losses)

    def _refuse_many_skips(self, losses: Mapping[str, float]) -> None:
        in_a_row = self._updater.guard.in_a_row
        if in_a_row >= self._settings.skips:
            self._writer.wait()
            raise failures.diverged(self._run, self.counters.step, in_a_row, losses)

    def _spent(self, *, more_steps: float = 0, more_tokens: float = 0) -> float:
        return self._budget.spent(
            steps=self.counters.step + more_steps,
            tokens=self.counters.tokens + more_tokens,
            seconds=self._seconds,
        )

    def _report(self, metrics: MetricsWriter | None) -> None:
        """Write a line over the steps since the last one."""
        line = self._reporter.close(
            lr=self._rate, skipped=self._updater.guard.skipped, seconds=self.clock.seconds
        )
        if metrics is not None:
            step, tokens = self.counters.step, self.counters.tokens
            metrics.write({"step": step, "tokens": tokens, "epoch": self._epoch(), **line})

    def _epoch(self) -> float:
        return self._stages.all[self.counters.stage].data.epoch(self.counters.position)

    def _progress(self) -> Progress:
        spent = min(1.0, self._spent())
        return self._reporter.progress(
            step=self.counters.step,
            fraction=spent,
            tokens=self.counters.tokens,
            epoch=self._epoch(),
            stage=self._stages.all[self.counters.stage].name,
            seconds_left=self.clock.seconds * (1 - spent) / spent,
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
        with self.clock.paused():
            figures = self._validate(self._updater.whole_model(), lambda: self._heed(stop))
        self._writer.wait()
        failures.refuse_not_finite(self._run, self.counters.step, figures)
        self.validation, self.validation_step = figures, self.counters.step
        if metrics is not None:
            metrics.write({"step": self.counters.step, "validation": figures})

    def _save(self) -> None:
        if self._saved == self.counters.step:
            return
        with self.clock.paused():
            model, optimizer = self._updater.tensors()
            if self._ranks.leads:
                checkpoint = Checkpoint(model=model, optimizer=optimizer, state=self._state())
                self._writer.save(checkpoint)
        self._saved = self.counters.step

    def _state(self) -> dict[str, Any]:
        return {
            **vars(self.counters),
            "seconds": self.clock.seconds,
            "reporter": self._reporter.state(),
            "guard": self._updater.guard.state(),
            "device": self._device.type,
            "precision": precision_name(self._precision),
            "ranks": self._ranks.count,
            "fingerprint": self._fingerprint,
        }

    def _heed(self, stop: StopRequest) -> None:
        """Save and leave if a signal asked for it, on any rank."""
        self._agree(stop)
        self._leave_if_asked()

    def _agree(self, stop: StopRequest) -> None:
        """Learn from the other ranks who was asked to stop, and what the first one's clock says."""
        seconds = self.clock.seconds if self._ranks.leads else 0.0
        asked = [float(stop.kind is kind) for kind in (Interrupted, Terminated)]
        self._seconds, *asked = self._ranks.total([seconds, *asked], self._device)
        self._asked = Terminated if asked[1] else Interrupted if asked[0] else None
        self.finished = self._spent() >= 1

    def _leave_if_asked(self) -> None:
        if self._asked is None:
            return
        self._save()
        self._writer.wait()
        datasets = [dataset.folder for dataset in self._stages.datasets]
        raise failures.stopped(self._asked, self._run, self.counters.step, datasets)
