"""What a training would take: sizes by counting, memory and time by doing a few steps of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from lmprep.models.construction import count_parameters, new_model
from lmprep.models.dropout import DropoutKey
from lmprep.models.language_model import LanguageModel
from lmprep.settings import PretrainSettings
from lmprep.training.batch import Batch
from lmprep.training.devices import (
    choose_device,
    choose_precision,
    keep_freed_memory,
    precision_name,
)
from lmprep.training.optimizers import new_optimizer
from lmprep.training.pretraining import Setup
from lmprep.training.schedules import Budget
from lmprep.training.steps import forward, losses_of, train_step

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
    """Do a few steps and count the rest; nothing is written."""
    settings, data = setup.settings, setup.data
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    keep_freed_memory()
    model = new_model(setup.model, seed=0).to(device)
    batches = [data.batch(step).to(device) for step in range(_TIMED_STEPS)]
    seconds_per_step = _time_steps(model, batches, settings, precision)
    tokens_per_step = round(data.tokens / data.rows * data.rows_per_step)
    steps = _steps(Budget.of(settings), tokens_per_step, seconds_per_step)
    parameters = count_parameters(model)
    activations = activation_bytes(model, batches[0], precision)
    return Estimate(
        parameters=parameters,
        rows=data.rows,
        tokens_per_epoch=data.tokens,
        rows_per_step=data.rows_per_step,
        tokens_per_step=tokens_per_step,
        steps=steps,
        epochs=steps * data.rows_per_step / data.rows,
        memory_bytes=_BYTES_A_PARAMETER * parameters + activations,
        device=device.type,
        precision=precision_name(precision),
        seconds_per_step=seconds_per_step,
        seconds=steps * seconds_per_step,
    )


def _steps(budget: Budget, tokens_per_step: int, seconds_per_step: float) -> int:
    per_step = {"steps": 1, "tokens": tokens_per_step, "time": seconds_per_step}[budget.unit]
    return max(1, round(budget.amount / per_step))


def _time_steps(
    model: LanguageModel, batches: list[Batch], settings: PretrainSettings, precision: torch.dtype
) -> float:
    """Seconds of the fastest of a few steps (the first one also warms up)."""
    optimizer = new_optimizer(model, settings)
    times = []
    for step, batch in enumerate(batches):
        key = DropoutKey(seed=0, step=step)
        start = time.perf_counter()
        train_step(model, optimizer, batch, settings, precision, key).tolist()
        times.append(time.perf_counter() - start)
    return min(times)


def activation_bytes(model: LanguageModel, batch: Batch, precision: torch.dtype) -> int:
    """What a forward pass keeps for the backward pass, measured, and the copies of the logits.

    Of the logits, float32, the backward pass keeps the logarithms of their softmax; while these and
    their gradients are made there are three more of the same size.
    """
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = forward(model, batch, precision, DropoutKey(seed=0, step=0))
        losses = losses_of(outputs, batch)  # held: what is kept lives as long as these
    for parameter in model.parameters():
        kept.pop(parameter.untyped_storage().data_ptr(), None)
    del losses
    logits = [outputs.logits_MV, outputs.boundary_logits_SV]
    copies = sum(3 * each.nbytes for each in logits if each is not None)
    return sum(kept.values()) + copies
