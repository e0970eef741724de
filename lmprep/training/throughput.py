"""How much arithmetic a training does, and how much the device could do.

Model FLOPs, as they say: the multiplications and additions of matrix products that the model asks
for, a backward pass counted as twice its forward pass; biases, norms, softmax and the update left
out. Work that is not useful does not count: padding, head rows without a target, the half of a
causal attention that is masked, a second forward pass to save memory.

With T tokens, M scored ones, l layers, width d, inner width i (heads times their width), f of the
feed-forward (g = 3 matrices if it is gated, else 2), n the lengths of the runs of tokens that see
one another, V vocabulary, e width of the embeddings:

    blocks          6 T l (4 d i + g d f)
    attention       12 l i sum(n^2), half of it if causal
    cross           6 l 2 d i (T encoder + T decoder) + 12 l i sum(n encoder * n decoder)
    head            6 M (d e + e V), the first part only in an encoder and where e is not d
    generator       blocks, attention and head are its own; blocks and attention of the
                    discriminator come on top, and 6 T (d^2 + d) for its verdicts
    others          6 d^2 a pair; 6 ((2 d + 200) d + d e + e V) a boundary target; where e is not
                    d, 6 e d a token

Of LSTMs with f cells: 6 T 2 l f 9 d. Convolutions over characters are left out: they are done once
for each different token of a batch.

The convention of PaLM (arXiv:2204.02311, appendix B) counts a causal attention in full.

Example:
    BERT-base on 128 tokens of which 15 % are scored: 545 MFLOP a token.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmprep.models.heads import PLACE_WIDTH
from lmprep.models.inputs import IGNORED, Inputs
from lmprep.models.settings import ModelSettings
from lmprep.training.batch import Batch
from lmprep.training.devices import precision_name

_TRAINING = 6  # a product of a vector with n weights: 2 n forwards, 4 n backwards


@dataclass(frozen=True, kw_only=True)
class Work:
    """What rows ask of a model, padding not counted. Sums of rows are sums of these.

    Args:
        tokens: that a decoder alone or an encoder reads.
        squares: of the lengths of the runs of tokens that see one another, summed.
        scored: tokens predicted.
        pairs, boundary: sentence pairs judged, span-boundary targets predicted.
        decoder_tokens, decoder_squares: the same of the decoder behind an encoder.
        crossed: tokens of a row in the encoder times in the decoder, summed.
    """

    tokens: int
    squares: int
    scored: int
    pairs: int = 0
    boundary: int = 0
    decoder_tokens: int = 0
    decoder_squares: int = 0
    crossed: int = 0

    def __add__(self, other: Work) -> Self:
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return type(self)(**sums)


def flops_of(model: ModelSettings, work: Work) -> int:
    """FLOPs of a training step over `work`: forward and backward."""
    if model.generator_width:
        alone = flops_of(replace(model, generator_width=0), replace(work, scored=0))
        verdicts = _TRAINING * work.tokens * (model.width**2 + model.width)
        return flops_of(model.generator(), work) + alone + verdicts
    if model.kind == "bi-lstm":
        return _TRAINING * (work.tokens * _lstm_weights(model) + _outside(model, work))
    inner, layers, width = model.heads * model.head_width, model.layers, model.width
    matrices = 3 if model.activation.startswith("gated") else 2
    block = 4 * width * inner + matrices * width * model.feed_forward
    weights = layers * block * (work.tokens + work.decoder_tokens)
    cells = work.squares // 2 if model.kind == "decoder" else work.squares
    if model.kind == "encoder-decoder":
        # Queries and output of the decoder's tokens, keys and values of the encoder's.
        weights += layers * 2 * width * inner * (work.tokens + work.decoder_tokens)
        cells += work.decoder_squares // 2 + work.crossed
    # A cell is a product for its score and one for its value.
    return _TRAINING * (weights + 2 * layers * inner * cells + _outside(model, work))


def _lstm_weights(model: ModelSettings) -> int:
    """Of both directions: four gates of input and last output for each cell, and a projection."""
    return 2 * model.layers * model.feed_forward * (8 * model.width + model.width)


def _outside(model: ModelSettings, work: Work) -> int:
    """Weights of embeddings and heads, each times how often it is used."""
    width, narrow = model.width, model.embedding_width
    between, decode = width * narrow, narrow * model.vocabulary_size
    used = work.scored * decode + work.pairs * width**2
    if narrow != width:
        used += (work.tokens + work.decoder_tokens) * between
    if narrow != width or model.kind == "encoder":
        used += work.scored * between
    return used + work.boundary * ((2 * width + PLACE_WIDTH) * width + between + decode)


def batch_flops(batch: Batch, model: ModelSettings) -> int:
    """FLOPs of training on a batch that lies in main memory."""
    return flops_of(model, work_of(batch))


def work_of(batch: Batch) -> Work:
    """What a batch asks of a model."""
    inputs, labels = batch.inputs, batch.labels
    lengths = _run_lengths(inputs)
    behind = inputs.decoder_ids_BK is not None
    work = Work(
        tokens=int(lengths.sum()) if behind else batch.tokens,
        squares=int((lengths**2).sum()),
        scored=_targets(labels.tokens_M),
        pairs=_targets(labels.pairs_P),
        boundary=_targets(labels.boundary_S),
    )
    if inputs.ngrams is not None and labels.ngrams_P is not None:
        apart = inputs.ngrams.lengths_P[labels.ngrams_P != IGNORED]
        tokens, squares = int(apart.sum()), int((apart**2).sum())
        work = replace(work, tokens=work.tokens + tokens, squares=work.squares + squares)
    return replace(work, **_decoder_work(batch, lengths)) if behind else work


def _decoder_work(batch: Batch, lengths: NDArray[np.int64]) -> dict[str, int]:
    """Of a decoder behind an encoder: each target is what follows one of its tokens."""
    assert batch.inputs.decoder_ids_BK is not None
    rows, width = batch.inputs.decoder_ids_BK.shape
    scored_M = batch.inputs.scored_M.numpy()[batch.labels.tokens_M.numpy() != IGNORED]
    targets = np.bincount(scored_M // width, minlength=rows)
    return {
        "decoder_tokens": int(targets.sum()),
        "decoder_squares": int((targets**2).sum()),
        "crossed": int((lengths * targets).sum()),
    }


def _run_lengths(inputs: Inputs) -> NDArray[np.int64]:
    """Tokens in each run that attention stays within, padding left out: int64 [runs]."""
    rows, length = inputs.ids_BL.shape
    if inputs.documents is None:
        if inputs.lengths_B is None:
            return np.full(rows, length, np.int64)
        padded: NDArray[np.int64] = inputs.lengths_B.numpy()
        return padded
    # Runs of no position have the offset of the next one.
    offsets = np.unique(inputs.documents.offsets_S.numpy()).astype(np.int64)
    ids, starts = inputs.ids_BL.numpy().ravel(), offsets[:-1]
    # Padding is the end of a row, all of one id: so no text but one of a single token is.
    alike = np.minimum.reduceat(ids, starts) == np.maximum.reduceat(ids, starts)
    padding = alike & (offsets[1:] % length == 0)
    lengths: NDArray[np.int64] = np.diff(offsets)[~padding]
    return lengths


def _targets(labels: Tensor | None) -> int:
    """How many labels ask for a prediction."""
    return 0 if labels is None else int(np.count_nonzero(labels.numpy() != IGNORED))


@dataclass(frozen=True, kw_only=True)
class Peak:
    """What a device could do if it did nothing but matrix products.

    Args:
        flops: a second.
        source: where the number is from, to be shown beside every utilisation.
    """

    flops: float
    source: str


# TFLOP/s of dense products by NVIDIA's datasheets: half precision (bf16, the V100's fp16), TF32
# and float32. Names as the driver gives them; others of the same chip run at other speeds.
_DATASHEETS: dict[str, tuple[str, float, float, float]] = {
    r"Tesla V100-SXM2-.*": ("V100 SXM2", 125, 15.7, 15.7),
    r"Tesla V100-PCIE-.*": ("V100 PCIe", 112, 14, 14),
    r"A10": ("A10", 125, 62.5, 31.2),
    r"A100(-SXM4-|-PCIE-| )(40|80)GB( PCIe)?": ("A100", 312, 156, 19.5),
    r"L4": ("L4", 121, 60, 30.3),
    r"L40S": ("L40S", 362, 183, 91.6),
    r"GeForce RTX 3090": ("RTX 3090", 71, 35.6, 35.6),
    r"GeForce RTX 4090": ("RTX 4090", 165.2, 82.6, 82.6),
    r"H100 PCIe": ("H100 PCIe", 756, 378, 51),
    r"H100 80GB HBM3": ("H100 SXM", 989, 494, 67),
    r"H200": ("H200", 989, 494, 67),
    r"B200": ("B200", 2250, 1125, 75),
}
_SIDES = {"cpu": 1024, "cuda": 8192}
_SECONDS = 0.2


@cache
def peak(device: torch.device, precision: torch.dtype) -> Peak:
    """The most FLOPs a second of products in `precision`: by the datasheet, else measured."""
    if device.type != "cuda":
        return _measured(device, precision, f"{torch.get_num_threads()} threads")
    name = torch.cuda.get_device_name(device)
    return datasheet_peak(name, precision) or _measured(device, precision, name)


def datasheet_peak(name: str, precision: torch.dtype) -> Peak | None:
    """The datasheet's number for a GPU, by the name that its driver gives it; None if unknown."""
    for pattern, (chip, half, tf32, fp32) in _DATASHEETS.items():
        if not re.fullmatch(pattern, name.removeprefix("NVIDIA ")):
            continue
        if precision != torch.float32:
            kind, flops = "fp16" if chip.startswith("V100") else "bf16", half
        elif torch.get_float32_matmul_precision() == "highest":
            kind, flops = "fp32", fp32
        else:
            kind, flops = "tf32", tf32
        return Peak(flops=flops * 1e12, source=f"datasheet, {chip} {kind} dense")
    return None


def _measured(device: torch.device, precision: torch.dtype, where: str) -> Peak:
    """The fastest of the products that fit a fifth of a second."""
    side = _SIDES[device.type]
    a, b = (torch.randn(side, side, device=device).to(precision) for _ in range(2))
    seconds = [_seconds(a, b)]  # this one warms up, too
    until = time.perf_counter() + _SECONDS
    while len(seconds) < 3 or time.perf_counter() < until:
        seconds.append(_seconds(a, b))
    kind = precision_name(precision)
    source = f"measured, {kind} product of {side} x {side}, {where}"
    return Peak(flops=2 * side**3 / min(seconds), source=source)


def _seconds(a: Tensor, b: Tensor) -> float:
    """Of one product."""
    began = time.perf_counter()
    product = a @ b
    if product.is_cuda:
        torch.cuda.synchronize(product.device)
    return time.perf_counter() - began
