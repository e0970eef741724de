"""What a training would take: sizes by counting, time by doing a few steps of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from lmprep.models.bert import count_parameters, new_bert, outline
from lmprep.models.dropout import DropoutKey
from lmprep.models.settings import ModelSettings
from lmprep.training.data import Batch
from lmprep.training.devices import (
    choose_device,
    choose_precision,
    keep_freed_memory,
    precision_name,
)
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
        precision=precision_name(precision),
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
    """What a forward pass keeps for the backward pass on a CPU, about; on CUDA it is less.

    A layer keeps per token 18 values of the width: its input, queries, keys and values, the mixed
    heads, two dropout masks, two norms' inputs and the output of the first, and before and after
    the activation function four each; and per head and key 3: the attention weights, their mask,
    their product. In bf16, masks, norms and residuals stay wider. Of the logits of the masked
    tokens there are four in float32: themselves, their logarithms, and both gradients.
    """
    rows, length = batch.ids_BL.shape
    width_bytes, weight_bytes = (46, 6) if precision == torch.bfloat16 else (18 * 4, 3 * 4)
    layer = width_bytes * model.width + weight_bytes * model.heads * length
    embeddings = 3 * 4 * model.width
    logits = 4 * 4 * len(batch.labels_M) * model.vocabulary_size
    return rows * length * (model.layers * layer + embeddings) + logits
