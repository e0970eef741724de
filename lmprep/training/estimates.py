"""What a training would take: sizes by counting, memory and time by doing a few steps of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lmprep.allocator import keep_freed_memory
from lmprep.models.construction import count_parameters, new_model
from lmprep.models.dropout import DropoutKey
from lmprep.models.language_model import LanguageModel
from lmprep.models.losses import Losses
from lmprep.pretrain_settings import PretrainSettings
from lmprep.training.batch import Batch
from lmprep.training.data import StepData, TrainingData
from lmprep.training.devices import (
    choose_device,
    choose_precision,
    compiles,
    computing_in,
    micro_rows,
    precision_name,
)
from lmprep.training.preparation import Setup
from lmprep.training.schedules import Budget
from lmprep.training.steps import Updater, targets

_TIMED_STEPS = 3
# Weights, gradients and two moments, float32 each.
_BYTES_A_PARAMETER = 16


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a training would take.

    Args:
        parameters: of the model, heads included.
        rows, tokens_per_epoch: of the datasets, before corruption; padding not counted.
        rows_per_step, tokens_per_step: of an update.
        steps, epochs: of the whole training.
        memory_bytes: weights, gradients, optimizer and activations, about.
        device, precision: where and how it would be computed.
        seconds_per_step, seconds: of the fastest of a few steps, and for all of them.
    """

    parameters: int
    rows: int
    tokens_per_epoch: int
    rows_per_step: int
    tokens_per_step: int
    steps: int
    epochs: float
    memory_bytes: int
    device: str
    precision: str
    seconds_per_step: float
    seconds: float


def estimate(setup: Setup) -> Estimate:
    """Do a few steps and count the rest; nothing is written. Of stages the last one is timed."""
    settings, data = setup.settings, setup.stages.all[-1].data
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    keep_freed_memory()
    model = new_model(setup.model, seed=0).to(device)
    teacher = None if setup.teacher is None else setup.teacher.model(device)
    steps = _first_steps(data, settings, device)
    activations = activation_bytes(model, steps[0].batches[0].to(device), precision)
    alone = replace(settings, sharding="replicate")
    updater = Updater(model, alone, precision, teacher=teacher)
    seconds_per_step = _time_steps(updater, steps)
    rows_per_step = round((steps[-1].next - steps[0].first) / len(steps))
    tokens_per_step = round(sum(step.tokens for step in steps) / len(steps))
    count = _steps(Budget.of(settings), tokens_per_step, seconds_per_step)
    parameters = count_parameters(model)
    return Estimate(
        parameters=parameters,
        rows=data.rows,
        tokens_per_epoch=data.tokens,
        rows_per_step=rows_per_step,
        tokens_per_step=tokens_per_step,
        steps=count,
        epochs=count * rows_per_step / data.rows,
        memory_bytes=_BYTES_A_PARAMETER * parameters + activations,
        device=device.type,
        precision=precision_name(precision),
        seconds_per_step=seconds_per_step,
        seconds=count * seconds_per_step,
    )


def _first_steps(
    data: TrainingData, settings: PretrainSettings, device: torch.device
) -> list[StepData]:
    rows = micro_rows(settings.micro_tokens, data.task.length, device)
    static = compiles(settings.compile, device)
    steps: list[StepData] = []
    for _ in range(_TIMED_STEPS):
        position = steps[-1].next if steps else 0
        steps.append(data.step(position, micro_rows=rows, static_shapes=static))
    return steps


def _steps(budget: Budget, tokens_per_step: int, seconds_per_step: float) -> int:
    per_step = {"steps": 1, "tokens": tokens_per_step, "time": seconds_per_step}[budget.unit]
    return max(1, round(budget.amount / per_step))


def _time_steps(updater: Updater, steps: Sequence[StepData]) -> float:
    """Seconds of the fastest of a few steps (the first one also warms up)."""
    times = []
    for number, step in enumerate(steps):
        start = time.perf_counter()
        updater.update(step.batches, targets(step.batches), number, 0.0)
        times.append(time.perf_counter() - start)
    return min(times)


def activation_bytes(model: LanguageModel, batch: Batch, precision: torch.dtype) -> int:
    """What a forward pass keeps for the backward pass, measured."""
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    key = DropoutKey(seed=0, step=0)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        computing_in(precision, model.device),
    ):
        losses = Losses(model)(batch.inputs, batch.labels, key)  # held: what is kept lives as long
    for parameter in model.parameters():
        kept.pop(parameter.untyped_storage().data_ptr(), None)
    del losses
    return sum(kept.values())
