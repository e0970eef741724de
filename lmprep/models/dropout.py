"""Dropout whose mask is a function of a key: no generator to save, the same on every resume.

On CPU torch draws dropout masks from one serial Mersenne twister, which takes a third of a small
model's training step. Here the mask comes from `lmprep.keyed_random`: value i of a mask is bits
16 * (i mod 4) and up of `draw(key, i // 4)`; below a 16-bit threshold it is dropped. The threshold
rounds the probability to a multiple of 2**-16, and the survivors are scaled by exactly what that
rounded probability asks for, so the expectation is kept.

On CUDA the mask comes from torch's own (parallel) generator, which `seed_device` sets to the key
of the step: a resumed run draws the same masks there too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lmprep.jit import kernel
from lmprep.keyed_random import draw, key_for, sub_keys

_BLOCK = 1024  # draws at a time: 8 kB, well within the first-level cache
_WHOLE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class DropoutKey:
    """What fixes every dropout mask of one training step.

    A forward pass that is given none drops nothing (evaluation).

    Args:
        seed: of the training run.
        step: number of the step, from 0.
    """

    seed: int
    step: int

    def at(self, site: int) -> np.uint64:
        """The key of one call site; sites are numbered from 0 within the model."""
        key = key_for(self.seed, "dropout", copy=self.step)
        return np.uint64(sub_keys(key, np.array([site]))[0])

    def seed_device(self, device: torch.device) -> None:
        """Set the generator of a CUDA device; on CPU there is nothing to set."""
        if device.type == "cuda":
            torch.cuda.manual_seed(int(key_for(self.seed, "dropout", copy=self.step) >> 1))


def dropout(x: Tensor, probability: float, key: DropoutKey | None, site: int) -> Tensor:
    """Zero each value with `probability` and scale the others to keep the expectation.

    Args:
        x: any shape and floating dtype.
        probability: from 0 to below 1.
        key: of this step; None drops nothing.
        site: which of the model's dropouts this is.
    """
    if key is None or probability == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, probability)
    return x * keyed_mask(x.shape, probability, key.at(site)).to(x.dtype)


class Dropout(nn.Module):
    """One dropout of a model, with a number of its own.

    Args:
        probability: from 0 to below 1.
        sites: the numbers, from 0; every dropout of a model takes the next one.
    """

    def __init__(self, probability: float, sites: Iterator[int]) -> None:
        super().__init__()
        self.probability, self.site = probability, next(sites)

    def forward(self, x: Tensor, key: DropoutKey | None) -> Tensor:
        """See `dropout`."""
        return dropout(x, self.probability, key, self.site)


def keyed_mask(shape: torch.Size, probability: float, key: np.uint64) -> Tensor:
    """A float32 mask: 0 where dropped, else 1 / (1 - probability rounded to 2**-16)."""
    threshold = round(probability * _WHOLE)
    if not 0 <= threshold < _WHOLE:
        raise ValueError(f"dropout probability {probability} must be from 0 to below 1")
    mask = np.empty(shape.numel(), np.float32)
    _fill_mask(mask, np.uint16(threshold), np.float32(_WHOLE / (_WHOLE - threshold)), key)
    return torch.from_numpy(mask).view(shape)


@kernel
def _fill_mask(
    mask: NDArray[np.float32], threshold: np.uint16, scale: np.float32, key: np.uint64
) -> None:
    # Two plain loops over a block: the compiler turns both into vector instructions.
    draws = np.empty(_BLOCK, np.uint64)
    values = draws.view(np.uint16)
    for start in range(0, len(mask), 4 * _BLOCK):
        count = min(4 * _BLOCK, len(mask) - start)
        for i in range((count + 3) // 4):
            draws[i] = draw(key, start // 4 + i)
        for i in range(count):
            mask[start + i] = np.float32(0) if values[i] < threshold else scale
