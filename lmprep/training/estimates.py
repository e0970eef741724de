"""What a training would take: sizes by counting, time by doing a few steps of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from lmprep.models.bert import count_parameters, new_bert, outline
from lmprep.models.dropout import DropoutKey
from lmprep.models.settings import ModelSettings
from lmprep.training.data import Batch
from lmprep.training.devices import choose_device, choose_precision, keep_freed_memory
from lmprep.training.optimizers import new_optimizer
from lmprep.training.pretraining import Setup
from lmprep.training.schedules import Budget
from lmprep.training.steps import train_step

_TIMED_STEPS = 3
# Weights, gradients and two moments, float32 each.
_BYTES_A_PARAMETER = 16


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a training would take.

    Args:
        parameters: of the model, heads included.
        rows, tokens_per_epoch: of the datasets, padding not counted.
        rows_per_step, tokens_per_step: of an update.
        steps, epochs: of the whole training.
        memory_bytes: weights, gradients, optimizer and activations, about.
        device, precision: where and how it would be computed.
        seconds_per_step, seconds: measured over a few steps, and for all of them.
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
    """Time a few steps and count the rest; nothing is written."""
    settings, data = setup.settings, setup.data
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    batches = [data.batch(step) for step in range(_TIMED_STEPS)]
    seconds_per_step = _time_steps(setup, batches, device, precision)
    tokens_per_step = round(data.tokens / data.rows * data.rows_per_step)
    steps = _steps(Budget.of(settings), tokens_per_step, seconds_per_step)
    parameters = count_parameters(outline(setup.model))
    activations = activation_bytes(setup.model, batches[0], precision)
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
        precision="bf16" if precision == torch.bfloat16 else "fp32",
        seconds_per_step=seconds_per_step,
        seconds=steps * seconds_per_step,
    )


def _steps(budget: Budget, tokens_per_step: int, seconds_per_step: float) -> int:
    per_step = {"steps": 1, "tokens": tokens_per_step, "time": seconds_per_step}[budget.unit]
    return max(1, round(budget.amount / per_step))


def _time_steps(
    setup: Setup, batches: list[Batch], device: torch.device, precision: torch.dtype
) -> float:
    """Seconds of the fastest of a few steps (the first one also warms up)."""
    keep_freed_memory()
    model = new_bert(setup.model, seed=0).to(device)
    optimizer = new_optimizer(model, setup.settings)
    times = []
    for step, batch in enumerate(batches):
        key = DropoutKey(seed=0, step=step)
        start = time.perf_counter()
        train_step(model, optimizer, batch.to(device), setup.settings, precision, key).tolist()
        times.append(time.perf_counter() - start)
    return min(times)


def activation_bytes(model: ModelSettings, batch: Batch, precision: torch.dtype) -> int:
    """What a forward pass keeps for the backward pass, about.

    Per token and layer 34 values of the width and 5 of the attention weights of all heads count a
    byte each in 16-bit training (arXiv:2205.05198, section 4.1), twice that in float32; then the
    logits of the masked tokens: as computed, in float32, and their gradient.
    """
    rows, length = batch.ids_BL.shape
    per_token = 34 * model.width + 5 * model.heads * length
    scale = 1 if precision == torch.bfloat16 else 2
    blocks = rows * length * model.layers * per_token * scale
    logits = len(batch.labels_M) * model.vocabulary_size * 10
    return blocks + logits
