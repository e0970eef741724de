"""The training loop: step, report, save, validate; stop when the budget is spent or on a signal."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmprep.models.dropout import DropoutKey
from lmprep.models.language_model import LanguageModel
from lmprep.settings import PretrainSettings
from lmprep.training import checkpoints, failures
from lmprep.training.batch import Batch
from lmprep.training.checkpoints import Checkpoint
from lmprep.training.clock import Clock
from lmprep.training.data import TrainingData, prefetched
from lmprep.training.devices import precision_name
from lmprep.training.interruption import StopRequest
from lmprep.training.metrics import MetricsWriter, Progress
from lmprep.training.optimizers import (
    load_optimizer_tensors,
    new_optimizer,
    optimizer_tensors,
    peak_learning_rate,
    set_learning_rate,
)
from lmprep.training.schedules import Budget, learning_rate
from lmprep.training.steps import LOSSES, train_step

OnProgress = Callable[[Progress], None]
# Scores a model; calls the function before each batch.
Validate = Callable[[LanguageModel, Callable[[], None]], dict[str, float]]
_log = logging.getLogger("lmprep")


@dataclass
class Counters:
    """How far a training is.

    Args:
        step: updates done.
        tokens: seen, padding not counted.
    """

    step: int = 0
    tokens: int = 0


class Trainer:
    """A model in training.

    Args:
        run: the run folder.
        model: on its device.
        precision: of the matrix products.
        fingerprint: of what decides the run; checkpoints carry it.
        validate: gives the numbers of a validation; None when there is nothing to validate on.
    """

    def __init__(
        self,
        run: Path,
        model: LanguageModel,
        data: TrainingData,
        settings: PretrainSettings,
        *,
        precision: torch.dtype,
        fingerprint: str,
        validate: Validate | None = None,
        on_progress: OnProgress = lambda _: None,
    ) -> None:
        self.model, self.counters, self.clock = model, Counters(), Clock()
        self.optimizer = new_optimizer(model, settings)
        self.finished = False  # is the budget spent?
        self.losses: dict[str, float] = {}
        self.validation: dict[str, float] = {}
        self.validation_step = 0
        self._run, self._data, self._settings = run, data, settings
        self._device, self._precision = model.device, precision
        self._fingerprint, self._validate, self._on_progress = fingerprint, validate, on_progress
        self._budget = Budget.of(settings)
        self._peak = peak_learning_rate(settings, model.settings)
        self._lr = self._rate = 0.0
        self._window: list[Tensor] = []  # the losses of each step since the last report
        self._reported = (0, 0.0)  # tokens and seconds of the last report
        self._saved: int | None = None

    def restore(self, checkpoint: Checkpoint, lines: Sequence[dict[str, Any]]) -> None:
        """Go on from a checkpoint.

        Args:
            lines: of the metrics up to there; the last validation is taken from them.
        """
        state = checkpoint.state
        self.model.load_state_dict(checkpoint.model)
        load_optimizer_tensors(self.model, self.optimizer, checkpoint.optimizer)
        self.counters = Counters(step=state["step"], tokens=state["tokens"])
        self.clock = Clock(state["seconds"])
        self._reported = (state["tokens"], state["seconds"])
        self.losses, self._saved = state["losses"], state["step"]
        self._window = [torch.tensor(losses, device=self._device) for losses in state["window"]]
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
    def validation_due(self) -> bool:
        """Are these the weights of a checkpoint still to be validated?"""
        validated = self._validate is None or self.validation_step == self.counters.step
        return not validated and self._due(self._settings.checkpoint_every)

    def train(self, metrics: MetricsWriter, stop: StopRequest) -> None:
        """Train until the budget is spent.

        Raises:
            Interrupted: a signal asked to stop; a checkpoint is saved.
            TrainingError: the loss is not a finite number, or the memory is too small.
        """
        self.clock.start()
        with closing(prefetched(self._make_batch, self.counters.step)) as batches:
            # A signal may have kept the last sitting from it.
            self._validate_if_due(metrics, stop)
            while not self.finished:
                self._step(next(batches))
                if reporting := self._due(self._settings.log_every):
                    self._report(metrics)
                if self._due(self._settings.checkpoint_every):
                    self._save()
                    self._validate_if_due(metrics, stop)
                if reporting:
                    self._on_progress(self._progress())
                self._heed(stop)

    def _due(self, every: int) -> bool:
        return self.finished or self.counters.step % every == 0

    def _make_batch(self, step: int) -> Batch:
        batch = self._data.batch(step)
        return batch.pinned() if self._device.type == "cuda" else batch

    def _step(self, batch: Batch) -> None:
        middle = self._spent(more_steps=0.5, more_tokens=batch.tokens / 2)
        self._lr = learning_rate(self._settings, self._peak, middle)
        set_learning_rate(self.optimizer, self._lr)
        key = DropoutKey(seed=self._settings.seed, step=self.counters.step)
        try:
            there = batch.to(self._device)
            losses = train_step(
                self.model, self.optimizer, there, self._settings, self._precision, key
            )
        except torch.OutOfMemoryError:
            raise failures.out_of_memory(self._run, self._settings.batch_tokens) from None
        self._window.append(losses)
        self.counters.step += 1
        self.counters.tokens += batch.tokens
        self.finished = self._spent() >= 1

    def _spent(self, *, more_steps: float = 0, more_tokens: float = 0) -> float:
        return self._budget.spent(
            steps=self.counters.step + more_steps,
            tokens=self.counters.tokens + more_tokens,
            seconds=self.clock.seconds,
        )

    def _report(self, metrics: MetricsWriter) -> None:
        """Write a line over the steps since the last one."""
        self.losses = self._mean_losses()
        self._window = []
        tokens, seconds = self.counters.tokens, self.clock.seconds
        tokens_before, seconds_before = self._reported
        self._rate = (tokens - tokens_before) / max(seconds - seconds_before, 1e-9)
        self._reported = (tokens, seconds)
        metrics.write(
            {
                **vars(self.counters),
                **self.losses,
                "lr": self._lr,
                "tokens_per_second": self._rate,
                "elapsed": seconds,
            }
        )

    def _progress(self) -> Progress:
        spent, seconds = min(1.0, self._spent()), self.clock.seconds
        return Progress(
            step=self.counters.step,
            fraction=spent,
            tokens=self.counters.tokens,
            loss=self.losses["loss"],
            tokens_per_second=self._rate,
            elapsed=seconds,
            seconds_left=seconds * (1 - spent) / spent,
            validation=self.validation,
            validation_step=self.validation_step,
        )

    def _mean_losses(self) -> dict[str, float]:
        """Means over the window, checked."""
        means = torch.stack(self._window).double().mean(0).tolist()
        reported = ("loss", *self._data.task.losses, "grad_norm")
        losses = {k: v for k, v in zip(LOSSES, means, strict=True) if k in reported}
        self._check_finite(losses)
        return losses

    def _validate_if_due(self, metrics: MetricsWriter, stop: StopRequest) -> None:
        """Validate once a checkpoint is saved: so a signal can stop that without losing steps."""
        if self._validate is None or not self.validation_due:
            return
        with self.clock.paused():
            figures = self._validate(self.model, lambda: self._heed(stop))
        self._check_finite(figures, "validation's ")
        self.validation, self.validation_step = figures, self.counters.step
        metrics.write({"step": self.counters.step, "validation": figures})

    def _save(self) -> None:
        if self._saved == self.counters.step:
            return
        if self._window:
            self._mean_losses()  # never save weights that an infinite gradient has spoilt
        with self.clock.paused():
            tensors = optimizer_tensors(self.model, self.optimizer)
            model: dict[str, Tensor] = dict(self.model.named_parameters())
            checkpoint = Checkpoint(model=model, optimizer=tensors, state=self._state())
            checkpoints.save(self._run, checkpoint)
        self._saved = self.counters.step

    def _state(self) -> dict[str, Any]:
        epoch, row = self._data.position(self.counters.step)
        return {
            **vars(self.counters),
            "seconds": self.clock.seconds,
            "epoch": epoch,
            "row": row,
            "losses": self.losses,
            "window": [losses.tolist() for losses in self._window],
            "device": self._device.type,
            "precision": precision_name(self._precision),
            "fingerprint": self._fingerprint,
        }

    def _heed(self, stop: StopRequest) -> None:
        """Save and leave if a signal asked for it."""
        if stop.kind is None:
            return
        self._save()
        datasets = [dataset.folder for dataset in self._data.datasets]
        raise failures.stopped(stop.kind, self._run, self.counters.step, datasets)

    def _check_finite(self, numbers: Mapping[str, float], prefix: str = "") -> None:
        for name, value in numbers.items():
            if not math.isfinite(value):
                step = self.counters.step
                raise failures.diverged(self._run, step, self._saved, prefix + name, value)
