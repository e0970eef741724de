"""Fresh weights, as the code of each family makes them.

Biases are 0 and the gains of norms 1; matrices and embeddings are drawn from a normal distribution
of mean 0 and of a standard deviation by scheme:

    truncated-normal    0.02, cut off at two deviations (BERT, ALBERT, ELECTRA; transformers does
                        not cut off)
    normal              0.02 (RoBERTa, DistilBERT, GPT, BART)
    scaled-normal       0.02; 0.02 / sqrt(2 * layers) for what adds to the residual stream (GPT-2)
    t5                  one over the root of what a matrix sums over, for queries also of the
                        width of a head, since scores are not scaled; embeddings 1 (T5; so is the
                        separate output matrix, where transformers takes 1)
    lstm                one over the root of what a matrix sums over; embeddings of tokens and
                        characters 1 / sqrt(3); highways begin nearly closed (bias -2), LSTMs
                        remember (bias of the forget gate 1) (ELMo; its code draws some of these
                        from uniform distributions)

Rows that only fill the vocabulary up are 0, and draw nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lmprep.models.padded_vocabulary import is_by_token
from lmprep.models.settings import ModelSettings

_DEVIATION = 0.02
_CUT = 2  # standard deviations
_TABLES = ("tokens.weight", "bytes.weight")
_RESIDUAL = ("attention.output.weight", ".contract.weight")


@torch.no_grad()
def initialize(module: nn.Module, settings: ModelSettings, seed: int) -> None:
    """Overwrite every parameter, on CPU; the same seed gives the same weights."""
    generator = torch.Generator().manual_seed(seed)
    for name, whole in module.named_parameters():
        nn.init.zeros_(whole)
        if not whole.is_floating_point():
            continue
        parameter = whole[: settings.vocabulary_size] if is_by_token(name) else whole
        if parameter.ndim >= 2:
            _draw(
                parameter,
                _deviation(name, settings, parameter[0].numel()),
                settings.initialization,
                generator,
            )
            if settings.initialization == "t5" and name.endswith(".qkv.weight"):
                _shrink_queries(parameter, settings)
        elif name.endswith("norm.weight"):
            nn.init.ones_(parameter)
        elif name.endswith("carry.bias"):
            nn.init.constant_(parameter, -2.0)
        elif name.endswith("bias_ih_l0"):  # of the gates input, forget, cell and output
            nn.init.ones_(parameter.chunk(4)[1])


def _draw(parameter: Tensor, deviation: float, scheme: str, generator: torch.Generator) -> None:
    if scheme == "truncated-normal":
        limit = _CUT * deviation
        nn.init.trunc_normal_(parameter, 0.0, deviation, -limit, limit, generator)
    else:
        nn.init.normal_(parameter, 0.0, deviation, generator)


def _deviation(name: str, settings: ModelSettings, summed: int) -> float:
    if settings.initialization == "t5":
        return _t5_deviation(name, settings)
    if settings.initialization == "lstm":
        return 1 / math.sqrt(3 if name.endswith(_TABLES) else summed)
    if settings.initialization == "scaled-normal" and name.endswith(_RESIDUAL):
        return _DEVIATION / math.sqrt(2 * settings.layers)
    return _DEVIATION


def _t5_deviation(name: str, settings: ModelSettings) -> float:
    if name.endswith(".tokens.weight"):
        return 1.0
    if name.endswith("attention.output.weight"):
        return 1 / math.sqrt(settings.heads * settings.head_width)
    if name.endswith(".contract.weight"):
        return 1 / math.sqrt(settings.feed_forward)
    if name.endswith(".query.weight"):
        return 1 / math.sqrt(settings.width * settings.head_width)
    if name.endswith((".to_width.weight", "next_token_head.weight")):
        return 1 / math.sqrt(settings.embedding_width)
    return 1 / math.sqrt(settings.width)


def _shrink_queries(qkv: Tensor, settings: ModelSettings) -> None:
    """Give the queries' rows of a fused matrix their own, smaller deviation."""
    qkv[: settings.heads * settings.head_width] *= settings.head_width**-0.5
