"""One fine-tuning: epochs, the best of them on dev, and what it says then.

The optimizer, the schedules and the guard are those of `lmprep.training`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmprep.errors import TrainingError
from lmprep.finetuning.features import CachedFeatures
from lmprep.finetuning.network import Network, freeze
from lmprep.finetuning.rows import (
    Batch,
    Int64s,
    Rows,
    inputs_of,
    rows_of_groups,
    shuffled_groups,
    sorted_groups,
)
from lmprep.finetuning.scores import Figures, main_figure
from lmprep.finetuning.settings import FinetuneSettings
from lmprep.finetuning.start import learning_rate_of
from lmprep.finetuning.tasks.base import Task
from lmprep.models.dropout import DropoutKey
from lmprep.models.settings import ModelSettings
from lmprep.pretrain_settings import PretrainSettings
from lmprep.training.devices import choose_precision, computing_in
from lmprep.training.guard import Guard
from lmprep.training.optimizers import Optimizer
from lmprep.training.schedules import learning_rate

OnEpoch = Callable[["Epoch"], None]
_BLOCK = re.compile(r"model\.(encoder|decoder)\.blocks\.(\d+)\.")
_SKIPS = 20  # updates in a row without a finite loss


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A file's examples, made ready.

    Args:
        path: the file.
        examples: what is in it.
        rows: of the examples.
    """

    path: Path
    examples: Sequence[Any]
    rows: Rows


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What an epoch brought.

    Args:
        seed, number: which; epochs count from 1.
        loss: mean over its updates.
        dev: figures after it.
    """

    seed: int
    number: int
    loss: float
    dev: Figures


class Reader:
    """Makes batches of rows, and asks a network about all of them.

    Args:
        features: computed before, of these rows; None where the model reads.
    """

    def __init__(
        self, rows: Rows, network: Network, pad: int, features: CachedFeatures | None = None
    ) -> None:
        self._rows, self._network, self._pad, self._features = rows, network, pad, features

    def batch(self, groups: Int64s) -> Batch:
        """The rows of some groups."""
        chosen = rows_of_groups(self._rows, groups)
        device = self._network.device
        inputs, lengths_B = inputs_of(self._rows, chosen, self._network.settings, self._pad, device)
        cached = None if self._features is None else self._features.of(chosen, device)
        return Batch(
            rows=self._rows,
            chosen=chosen,
            groups=groups,
            inputs=inputs,
            features=cached,
            lengths_B=lengths_B,
        )

    @torch.no_grad()
    def outputs(self, task: Task[Any], size: int, precision: torch.dtype) -> list[Any]:
        """A task's outputs for every group, in order."""
        found: list[Any] = [None] * (len(self._rows.groups) - 1)
        for groups in sorted_groups(self._rows, size) if found else []:
            with computing_in(precision, self._network.device):
                outputs = task.outputs(self._network, self.batch(groups))
            for group, output in zip(groups, outputs, strict=True):
                found[group] = output
        return found


class FineTuning:
    """One training.

    Args:
        network: on its device.
        train, dev: readers of their rows.
    """

    def __init__(
        self,
        network: Network,
        task: Task[Any],
        settings: FinetuneSettings,
        train: tuple[Part, Reader],
        dev: tuple[Part, Reader],
        seed: int,
    ) -> None:
        self._network, self._task, self._settings, self._seed = network, task, settings, seed
        self._train, self._dev = train, dev
        self._precision = choose_precision(settings.precision, network.device)
        self.best: Epoch | None = None
        self.epochs: list[Epoch] = []

    def run(self, on_epoch: OnEpoch = lambda _: None) -> Epoch:
        """Train; the network then has the weights of the best epoch, which is returned."""
        settings = self._settings
        freeze(self._network, unfreeze_last=settings.unfreeze_last, frozen=settings.frozen)
        rows = self._train[0].rows
        updates = math.ceil((len(rows.groups) - 1) / settings.batch_size)
        self._prepare(settings.epochs * updates)
        weights: dict[str, Tensor] = {}
        state: dict[str, Any] = {}
        for number in range(1, settings.epochs + 1):
            loss = self._epoch(rows, number - 1)
            epoch = Epoch(seed=self._seed, number=number, loss=loss, dev=self._score())
            self.epochs.append(epoch)
            if self.best is None or _main(epoch) > _main(self.best):
                self.best = epoch
                weights = {n: p.detach().cpu().clone() for n, p in self._learning()}
                state = dict(self._task.state)
            on_epoch(epoch)
            if settings.patience and number - self.best.number >= settings.patience:
                break
        assert self.best is not None
        self._task.state.update(state)
        with torch.no_grad():
            for name, parameter in self._learning():
                parameter.copy_(weights[name])
        return self.best

    def _learning(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [(n, p) for n, p in self._network.named_parameters() if p.requires_grad]

    def _prepare(self, updates: int) -> None:
        settings = self._settings
        model = self._network.settings
        self._updates, self._done = updates, 0
        self._schedule = PretrainSettings(
            model="fine-tuning",
            steps=updates,
            lr=learning_rate_of(settings, model),
            schedule=settings.schedule,
            warmup=settings.warmup,
            weight_decay=settings.weight_decay,
            clip=settings.clip,
            precision=settings.precision,
            seed=self._seed,
            spike=0.0,
        )
        decay = settings.layer_decay
        self._optimizer = Optimizer(
            self._network, self._schedule, lambda name: decay ** depth(name, model)
        )
        self._guard = Guard(self._schedule)

    def _epoch(self, rows: Rows, number: int) -> float:
        """Every example once; the mean loss."""
        losses = []
        size = self._settings.batch_size
        for groups in shuffled_groups(rows, size, self._seed, number):
            losses.append(self._update(groups))
        finite = [loss for loss in losses if math.isfinite(loss)]
        return sum(finite) / max(1, len(finite))

    def _update(self, groups: Int64s) -> float:
        network, schedule = self._network, self._schedule
        key = DropoutKey(seed=self._seed, step=self._done)
        key.seed_device(network.device)
        self._optimizer.zero_grad()
        with computing_in(self._precision, network.device):
            loss = self._task.loss(network, self._train[1].batch(groups), key)
        loss.backward()  # type: ignore[no-untyped-call]
        with_gradient = [p for p in network.parameters() if p.grad is not None]
        norm = float(torch.nn.utils.clip_grad_norm_(with_gradient, schedule.clip))
        value = float(loss.detach())
        progress = (self._done + 0.5) / self._updates
        assert schedule.lr is not None
        if self._guard.admits(value, norm):
            self._optimizer.step(learning_rate(schedule, schedule.lr, progress))
        elif self._guard.in_a_row > _SKIPS:
            raise TrainingError(
                f"{self._guard.in_a_row} updates in a row without a finite loss and gradient",
                fix="Try a lower --lr, or --precision fp32",
            )
        self._done += 1
        return value

    def _score(self) -> Figures:
        """Figures on dev; what is chosen there, is chosen anew."""
        part, reader = self._dev
        outputs = reader.outputs(self._task, 2 * self._settings.batch_size, self._precision)
        self._task.tune(outputs, part.rows, part.examples)
        answers = self._task.answers(outputs, part.rows, part.examples)
        return self._task.figures(answers, part.examples)


def _main(epoch: Epoch) -> float:
    return epoch.dev[main_figure(epoch.dev)]


def depth(name: str, model: ModelSettings) -> int:
    """How many layers a parameter lies below the head, which is 0.

    The top layer is 1; an encoder lies below its decoder; embeddings and positions come last.
    """
    stacks = 2 if model.kind == "encoder-decoder" else 1
    if found := _BLOCK.match(name):
        below = 1 if found[1] == "encoder" and stacks == 2 else 0
        return (below + 1) * model.layers - int(found[2])
    embedded = (".tokens.", ".positions.", ".types.", ".to_width.", "coder.norm.", "relative_")
    return stacks * model.layers + 1 if any(part in name for part in embedded) else 0
