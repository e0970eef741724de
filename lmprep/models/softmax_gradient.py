"""Cross-entropy of rows of logits, and in their place its gradient.

M rows, V columns, of which the first `size` are real ids.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmprep.jit import kernel
from lmprep.models.inputs import IGNORED

Bits = NDArray[np.uint16]
Words = NDArray[np.uint32]
Reals = NDArray[np.float32]

_BLOCK = 512  # columns at a time: what is made of them stays in the first-level cache
_FEW = 1 << 18  # logits that are not worth a second thread
_LOG2_E = np.float32(1.4426950408889634)
_LEAST = np.float32(-126)  # exponent of the smallest float32 that is not subnormal
_ROUND = np.float32(3 << 22)  # added and taken away, it leaves the nearest integer
# 2**f, f from -1/2 to 1/2, by Taylor's series: its relative error stays below 2e-7.
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = (
    np.float32(np.log(2.0) ** n / np.prod(np.arange(1.0, n + 1))) for n in range(7)
)
_16, _1, _HALF = np.uint32(16), np.uint32(1), np.uint32(0x7FFF)


def softmax_gradient(logits_MV: Tensor, labels_M: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each row [M], and its gradient for the logits [M, V], which takes their
    place where it can: they are not to be used any more.

    The softmax is computed in float32, of float64 logits in float64.

    Args:
        logits_MV: of any floating dtype.
        labels_M: int64, from 0 to below `size`, or `IGNORED`: neither loss nor gradient.
        size: ids there are; columns beyond have no probability and no gradient.
    """
    if logits_MV.device.type == "cpu" and logits_MV.dtype == torch.bfloat16:
        return _in_place(logits_MV, labels_M, size), logits_MV
    dtype = torch.promote_types(logits_MV.dtype, torch.float32)
    known_M = labels_M != IGNORED
    places_M1 = labels_M.clamp(min=0)[:, None]
    logs_MV = logits_MV[:, :size].to(dtype).log_softmax(-1)
    losses_M = -logs_MV.gather(1, places_M1)[:, 0] * known_M
    minus_one = -torch.ones_like(places_M1, dtype=dtype)
    gradient_MV = logs_MV.exp().scatter_add(1, places_M1, minus_one) * known_M[:, None]
    beyond = logits_MV.shape[1] - size
    return losses_M, torch.nn.functional.pad(gradient_MV, (0, beyond)).to(logits_MV.dtype)


@torch.library.custom_op("lmprep::softmax_gradient", mutates_args=("logits_MV",))
def _in_place(logits_MV: Tensor, labels_M: Tensor, size: int) -> Tensor:
    losses = np.empty(len(labels_M), np.float32)
    logits, labels = logits_MV.view(torch.uint16).numpy(), labels_M.numpy()
    threads = torch.get_num_threads() if logits.size > _FEW else 1
    borders = [len(labels) * part // threads for part in range(threads + 1)]

    def fill(part: int) -> None:
        rows = slice(borders[part], borders[part + 1])
        _fill(logits[rows], labels[rows], size, losses[rows])

    others = [_pool().submit(fill, part) for part in range(1, threads)]
    fill(0)
    for other in others:
        other.result()
    return torch.from_numpy(losses)


@_in_place.register_fake
def _(logits_MV: Tensor, labels_M: Tensor, size: int) -> Tensor:
    return torch.empty(labels_M.shape, dtype=torch.float32)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="softmax")


@kernel
def _fill(logits: Bits, labels: NDArray[np.int64], size: int, losses: Reals) -> None:
    # Every loop over columns is a function of slices, which the compiler turns into vector
    # instructions; sums and maxima are kept by column of the block, so that they are, too.
    words = np.empty(_BLOCK, np.uint32)
    reals = words.view(np.float32)
    exponents = np.empty(_BLOCK, np.int32)
    powers = exponents.view(np.float32)
    tops, totals = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    exps = np.empty(size, np.float32)
    for row in range(len(labels)):
        columns, label = logits[row], labels[row]
        losses[row] = 0
        if label == IGNORED:
            columns[:] = 0
            continue
        tops[:] = -np.inf
        totals[:] = 0
        for start in range(0, size, _BLOCK):
            count = min(_BLOCK, size - start)
            _widen(columns[start : start + count], words)
            _raise_tops(reals[:count], tops)
        top = tops.max()
        for start in range(0, size, _BLOCK):
            count = min(_BLOCK, size - start)
            _widen(columns[start : start + count], words)
            _exponentiate(reals[:count], exponents, top)
            _add_products(reals[:count], powers, exps[start : start + count], totals)
        total = totals.sum()
        _widen(columns[label : label + 1], words)
        losses[row] = np.log(total) + (top - reals[0])
        exps[label] -= total
        for start in range(0, size, _BLOCK):
            count = min(_BLOCK, size - start)
            _scale(exps[start : start + count], np.float32(1) / total, reals)
            _narrow(words[:count], columns[start : start + count])
        columns[size:] = 0


@kernel
def _widen(bits: Bits, words: Words) -> None:
    for i in range(len(bits)):
        words[i] = np.uint32(bits[i]) << _16


@kernel
def _raise_tops(reals: Reals, tops: Reals) -> None:
    for i in range(len(reals)):
        tops[i] = tops[i] if tops[i] > reals[i] else reals[i]


@kernel
def _exponentiate(reals: Reals, exponents: NDArray[np.int32], top: np.float32) -> None:
    """e**(x - top) as a factor, in place, and the bits of a power of two."""
    for i in range(len(reals)):
        x = (reals[i] - top) * _LOG2_E
        x = _LEAST if x < _LEAST else x
        whole = (x + _ROUND) - _ROUND
        f = x - whole
        reals[i] = _C0 + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * _C6)))))
        exponents[i] = (np.int32(whole) + np.int32(127)) << np.int32(23)


@kernel
def _add_products(reals: Reals, powers: Reals, products: Reals, totals: Reals) -> None:
    for i in range(len(reals)):
        product = reals[i] * powers[i]
        products[i] = product
        totals[i] += product


@kernel
def _scale(values: Reals, factor: np.float32, reals: Reals) -> None:
    for i in range(len(values)):
        reals[i] = values[i] * factor


@kernel
def _narrow(words: Words, bits: Bits) -> None:
    """To bf16, to the nearest, to the even one of two."""
    for i in range(len(bits)):
        bits[i] = np.uint16((words[i] + _HALF + ((words[i] >> _16) & _1)) >> _16)
