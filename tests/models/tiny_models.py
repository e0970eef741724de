"""Models of a moment's work, and inputs for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lmprep.models.construction import new_model
from lmprep.models.inputs import Boundaries, Inputs
from lmprep.models.language_model import LanguageModel
from lmprep.models.settings import ModelSettings, model_settings

ENCODERS = ("bert", "roberta", "albert", "distilbert", "electra")
DECODERS = ("gpt", "gpt2")
ENCODER_DECODERS = ("t5", "t5v1.1", "bart")
FAMILIES = ENCODERS + DECODERS + ENCODER_DECODERS
FACTORISED = ("albert", "electra")
VOCABULARY = 97
# Long enough for relative positions that share a bucket, in both directions and in one.
ROWS, LENGTH, DECODER_LENGTH = 3, 24, 19
LENGTHS = (24, 5, 16)
DECODER_LENGTHS = (19, 19, 6)


def tiny(family: str, **changes: Any) -> ModelSettings:
    """The family's habits in a model smaller than its tiny one."""
    shape = {"width": 32, "heads": 4, "head_width": 8, "feed_forward": 48, "max_length": 40}
    if family in FACTORISED:
        shape["embedding_width"] = 24
    if family == "gpt":  # its class in transformers has no other width
        shape["feed_forward"] = 4 * shape["width"]
    return model_settings(f"{family}-tiny", vocabulary_size=VOCABULARY, **(shape | changes))


def lively(settings: ModelSettings, seed: int = 1) -> LanguageModel:
    """A model whose biases and norms are at work too, in double precision: a wire that does not
    exist changes nothing at all, one that does changes a lot."""
    model = new_model(settings, seed).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter += 0.2 * noise
    return model


def random_ids(rows: int = ROWS, length: int = LENGTH, seed: int = 3) -> Tensor:
    """Ordinary ids: [rows, length], without those below 5, which are special in some families."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(5, VOCABULARY, (rows, length), generator=generator)


def inside(lengths: tuple[int, ...], length: int) -> Tensor:
    """Which positions are tokens: bool [rows, length]."""
    return torch.arange(length) < torch.tensor(lengths)[:, None]


def inputs_for(settings: ModelSettings) -> Inputs:
    """Padded rows in which every token is scored, with all that the model's heads can take."""
    seen = Inputs(
        ids_BL=random_ids() * inside(LENGTHS, LENGTH),
        types_BL=(torch.arange(LENGTH) >= 4).long().expand(ROWS, LENGTH).contiguous(),
        lengths_B=torch.tensor(LENGTHS),
        scored_M=inside(LENGTHS, LENGTH).flatten().nonzero().squeeze(1),
    )
    if settings.kind == "encoder-decoder":
        inside_BK = inside(DECODER_LENGTHS, DECODER_LENGTH)
        return replace(
            seen,
            decoder_ids_BK=random_ids(length=DECODER_LENGTH, seed=4) * inside_BK,
            scored_M=inside_BK.flatten().nonzero().squeeze(1),
        )
    if settings.kind == "encoder":
        boundaries = Boundaries(
            left_S=torch.tensor([1, 1, LENGTH + 0]),
            right_S=torch.tensor([4, 4, LENGTH + 3]),
            offset_S=torch.tensor([0, 1, 1]),
        )
        return replace(
            seen,
            firsts_P=torch.arange(ROWS) * LENGTH if settings.pooler else None,
            boundaries=boundaries if settings.span_boundary else None,
        )
    return seen
