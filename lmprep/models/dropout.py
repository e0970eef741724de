"""Dropout whose mask is a function of a key: no generator to save, the same on every resume.

On CPU torch draws dropout masks from one serial Mersenne twister, which takes a third of a small
model's training step. Here the mask comes from `lmprep.keyed_random`: value i of the mask of a
whole step is bits 16 * (i mod 4) and up of `draw(key, i // 4)`; below a 16-bit threshold it is
dropped. The threshold rounds the probability to a multiple of 2**-16, and the survivors are scaled
by what that rounded probability asks for, so the expectation is kept. A batch that is a part of a
step begins at its first row's values, so masks do not depend on how a step is cut into batches.

On CUDA the mask comes from torch's own (parallel) generator, which `seed_device` sets to the key
of the step and the batch's first row: a resumed run draws the same masks there too, one that cuts
its steps otherwise draws others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lmprep.jit import kernel
from lmprep.keyed_random import draw, key_for, sub_keys

_BLOCK = 1024  # draws at a time: 8 kB, well within the first-level cache
_WHOLE = 1 << 16
_AS_BITS = {torch.bfloat16: torch.uint16, torch.float16: torch.uint16}  # numpy lacks the first


class DropoutKey:
    """What fixes every dropout mask of one batch.

    A forward pass that is given none drops nothing (evaluation).

    Args:
        seed: of the training run.
        step: number of the step, from 0.
        row: number of the batch's first row within the step.
    """

    def __init__(self, *, seed: int, step: int, row: int = 0) -> None:
        key = key_for(seed, "dropout", copy=step)
        # As a tensor: what is compiled for one step must serve for the next.
        self.numbers = torch.from_numpy(np.array([key, row], np.uint64).view(np.int64))
        self.shift = 0

    @property
    def row(self) -> int:
        """Number of the batch's first row within the step."""
        return int(self.numbers[1])

    def shifted(self, shift: int) -> DropoutKey:
        """The same key for sites that many further on: for a block that is used again."""
        other = DropoutKey.__new__(DropoutKey)
        other.numbers, other.shift = self.numbers, self.shift + shift
        return other

    def seed_device(self, device: torch.device) -> None:
        """Set the generator of a CUDA device; on CPU there is nothing to set."""
        if device.type == "cuda":
            key, row = self.numbers.numpy()
            seed = sub_keys(key.view(np.uint64), np.array([row]))[0]
            torch.cuda.manual_seed(int(seed >> np.uint64(1)))


def dropout(
    x: Tensor,
    probability: float,
    key: DropoutKey | None,
    site: int,
    starts: Tensor | None = None,
) -> Tensor:
    """Zero each value with `probability` and scale the others to keep the expectation.

    Args:
        x: any shape and floating dtype; its first dimension goes by rows.
        probability: from 0 to below 1.
        key: of this batch; None drops nothing.
        site: which of the model's dropouts this is.
        starts: int64, the shape of x without its last dimension: the number, within the mask of
            the whole step, of the first value of each line; None where lines follow one another.
            Heeded on CPU only.
    """
    if key is None or probability == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, probability)
    mask: Tensor = keyed_mask(key.numbers, key.shift + site, probability, x.shape, x.dtype, starts)
    return x * mask


class Dropout(nn.Module):
    """One dropout of a model, with a number of its own.

    Args:
        probability: from 0 to below 1.
        sites: the numbers, from 0; every dropout of a model takes the next one.
    """

    def __init__(self, probability: float, sites: Iterator[int]) -> None:
        super().__init__()
        self.probability, self.site = probability, next(sites)

    def forward(self, x: Tensor, key: DropoutKey | None, starts: Tensor | None = None) -> Tensor:
        """See `dropout`."""
        return dropout(x, self.probability, key, self.site, starts)


@torch.library.custom_op("lmprep::keyed_mask", mutates_args=())
def keyed_mask(
    numbers: Tensor,
    site: int,
    probability: float,
    shape: Sequence[int],
    dtype: torch.dtype,
    starts: Tensor | None = None,
) -> Tensor:
    """A mask: 0 where dropped, else 1 / (1 - probability rounded to 2**-16).

    Args:
        numbers: int64 [2], of a `DropoutKey`.
        site, probability, starts: see `dropout`.
        shape, dtype: of the mask.
    """
    threshold = round(probability * _WHOLE)
    if not 0 <= threshold < _WHOLE:
        raise ValueError(f"dropout probability {probability} must be from 0 to below 1")
    mask = torch.empty(shape, dtype=dtype)
    kept = torch.tensor(_WHOLE / (_WHOLE - threshold), dtype=dtype)
    key, row = numbers.numpy()
    key = sub_keys(key.view(np.uint64), np.array([site]))[0]
    if starts is None:
        lines, places = 1, row * np.array([mask[:1].numel()])
    else:
        lines, places = starts.numel(), starts.flatten().numpy()
    bits = _AS_BITS.get(dtype, dtype)
    values, scale = mask.view(bits).numpy(), kept.view(bits).numpy()[()]
    if mask.numel():
        _fill_mask(values.reshape(lines, -1), places, np.uint16(threshold), scale, key)
    return mask


@keyed_mask.register_fake
def _(
    numbers: Tensor,
    site: int,
    probability: float,
    shape: Sequence[int],
    dtype: torch.dtype,
    starts: Tensor | None = None,
) -> Tensor:
    return torch.empty(shape, dtype=dtype)


@kernel
def _fill_mask(
    mask: NDArray[np.generic],
    starts: NDArray[np.int64],
    threshold: np.uint16,
    scale: Any,
    key: np.uint64,
) -> None:
    # Two plain loops over a block: the compiler turns both into vector instructions.
    draws = np.empty(_BLOCK + 1, np.uint64)
    values = draws.view(np.uint16)
    zero = mask.dtype.type(0)
    for line in range(len(mask)):
        for start in range(0, mask.shape[1], 4 * _BLOCK):
            count = min(4 * _BLOCK, mask.shape[1] - start)
            first = starts[line] + start
            skipped = first % 4
            for i in range((skipped + count + 3) // 4):
                draws[i] = draw(key, first // 4 + i)
            for i in range(count):
                mask[line, start + i] = zero if values[skipped + i] < threshold else scale
