"""The training loop: step, report, validate, save; stop when the budget is spent or on a signal."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmprep.errors import Interrupted, TrainingError
from lmprep.models.bert import Bert
from lmprep.models.dropout import DropoutKey
from lmprep.settings import PretrainSettings
from lmprep.training import checkpoints
from lmprep.training.checkpoints import Checkpoint
from lmprep.training.data import Batch, TrainingData, prefetched
from lmprep.training.interruption import StopRequest
from lmprep.training.metrics import MetricsWriter, Progress
from lmprep.training.optimizers import (
    load_optimizer_tensors,
    new_optimizer,
    optimizer_tensors,
    peak_learning_rate,
)
from lmprep.training.schedules import Budget, learning_rate
from lmprep.training.steps import LOSSES, train_step

OnProgress = Callable[[Progress], None]
Validate = Callable[[Bert], dict[str, float]]


@dataclass
class Counters:
    """How far a training is.

    Args:
        step: updates done.
        tokens: seen, padding not counted.
        seconds: of training before this sitting.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


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
        model: Bert,
        data: TrainingData,
        settings: PretrainSettings,
        *,
        precision: torch.dtype,
        fingerprint: str = "",
        validate: Validate | None = None,
        on_progress: OnProgress = lambda _: None,
    ) -> None:
        self.model, self.counters = model, Counters()
        self.optimizer = new_optimizer(model, settings)
        self.validation: dict[str, float] = {}
        self.losses: dict[str, float] = {}
        self._run, self._data, self._settings = run, data, settings
        self._device, self._precision = model.pair_head.weight.device, precision
        self._fingerprint, self._validate, self._on_progress = fingerprint, validate, on_progress
        self._budget = Budget.of(settings)
        self._peak = peak_learning_rate(settings, model.settings)
        self._window: list[Tensor] = []  # the losses of each step since the last report
        self._saved: int | None = None
        self._started: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds of training, earlier sittings included."""
        sitting = 0.0 if self._started is None else time.monotonic() - self._started
        return self.counters.seconds + sitting

    @property
    def finished(self) -> bool:
        """Is the budget spent?"""
        return self._spent() >= 1

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        state = checkpoint.state
        self.model.load_state_dict(checkpoint.model)
        load_optimizer_tensors(self.model, self.optimizer, checkpoint.optimizer)
        self.counters = Counters(**{k: state[k] for k in ("step", "tokens", "seconds")})
        self.validation, self.losses = state["validation"], state["losses"]
        self._window = [torch.tensor(losses, device=self._device) for losses in state["window"]]
        self._saved = state["step"]

    def train(self, metrics: MetricsWriter, stop: StopRequest) -> None:
        """Train until the budget is spent.

        Raises:
            Interrupted: a signal asked to stop; a checkpoint is saved.
            TrainingError: the loss is not a finite number.
        """
        self._started = self._reported = time.monotonic()
        self._tokens_reported = self.counters.tokens
        with closing(prefetched(self._make_batch, self.counters.step)) as batches:
            while not self.finished:
                self._step(next(batches))
                last = self.finished
                if last or self.counters.step % self._settings.log_every == 0:
                    self._report(metrics)
                if last or self.counters.step % self._settings.checkpoint_every == 0:
                    self._validate_into(metrics)
                    self._save()
                if stop.kind is not None and not last:
                    self._save()
                    raise self._interruption(stop.kind)

    def _make_batch(self, step: int) -> Batch:
        batch = self._data.batch(step)
        return batch.pinned() if self._device.type == "cuda" else batch

    def _step(self, batch: Batch) -> None:
        middle = self._spent(more_steps=0.5, more_tokens=batch.tokens / 2)
        self._lr = learning_rate(self._settings, self._peak, middle)
        for group in self.optimizer.param_groups:
            group["lr"] = self._lr
        batch_there = batch.to(self._device)
        key = DropoutKey(seed=self._settings.seed, step=self.counters.step)
        losses = train_step(
            self.model, self.optimizer, batch_there, self._settings, self._precision, key
        )
        self._window.append(losses)
        self.counters.step += 1
        self.counters.tokens += batch.tokens

    def _spent(self, *, more_steps: float = 0, more_tokens: float = 0) -> float:
        return self._budget.spent(
            steps=self.counters.step + more_steps,
            tokens=self.counters.tokens + more_tokens,
            seconds=self.elapsed,
        )

    def _report(self, metrics: MetricsWriter) -> None:
        """Write a line over the steps since the last one."""
        self.losses = self._mean_losses()
        self._window = []
        now, tokens = time.monotonic(), self.counters.tokens
        rate = (tokens - self._tokens_reported) / max(now - self._reported, 1e-9)
        self._reported, self._tokens_reported = now, tokens
        elapsed = self.elapsed
        metrics.write(
            {
                "step": self.counters.step,
                "tokens": tokens,
                **self.losses,
                "lr": self._lr,
                "tokens_per_second": rate,
                "elapsed": elapsed,
            }
        )
        spent = min(1.0, self._spent())
        self._on_progress(
            Progress(
                step=self.counters.step,
                fraction=spent,
                tokens=tokens,
                loss=self.losses["loss"],
                tokens_per_second=rate,
                elapsed=elapsed,
                seconds_left=elapsed * (1 - spent) / spent,
                validation=self.validation,
            )
        )

    def _mean_losses(self) -> dict[str, float]:
        """Means over the window, checked."""
        means = torch.stack(self._window).double().mean(0).tolist()
        losses = dict(zip(LOSSES, means, strict=True))
        if not self._data.has_pairs:
            del losses["pair_loss"]
        if not all(math.isfinite(value) for value in losses.values()):
            raise self._diverged(losses["loss"])
        return losses

    def _diverged(self, loss: float) -> TrainingError:
        good = "there is no checkpoint before it"
        if self._saved is not None:
            good = f"the last good checkpoint is {checkpoints.folder_of(self._run, self._saved)}"
        return TrainingError(
            f"the loss is {loss} before step {self.counters.step}; {good}",
            path=self._run,
            fix="Begin a new run with a lower --lr",
        )

    def _validate_into(self, metrics: MetricsWriter) -> None:
        if self._validate is not None:
            self.validation = self._validate(self.model)
            metrics.write({"step": self.counters.step, "validation": self.validation})

    def _save(self) -> None:
        if self._saved == self.counters.step:
            return
        if self._window:
            self._mean_losses()  # never save weights that an infinite gradient has spoilt
        epoch, row = self._data.position(self.counters.step)
        state: dict[str, Any] = {
            **vars(self.counters),
            "seconds": self.elapsed,
            "epoch": epoch,
            "row": row,
            "losses": self.losses,
            "window": [losses.tolist() for losses in self._window],
            "validation": self.validation,
            "fingerprint": self._fingerprint,
        }
        tensors = optimizer_tensors(self.model, self.optimizer)
        model: dict[str, Tensor] = dict(self.model.named_parameters())
        checkpoints.save(self._run, Checkpoint(model=model, optimizer=tensors, state=state))
        self._saved = self.counters.step

    def _interruption(self, kind: type[Interrupted]) -> Interrupted:
        datasets = " ".join(shlex.quote(str(dataset.folder)) for dataset in self._data.datasets)
        return kind(
            f"{kind.__name__} after step {self.counters.step}; everything is saved",
            fix=f"Go on with: lmprep pretrain {datasets} -o {shlex.quote(str(self._run))} --resume",
        )
