"""Weights under the names of a class of transformers, and back."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lmprep.models.hf.classes import CLASSES, hf_class
from lmprep.models.hf.renaming import read, write
from lmprep.models.padded_vocabulary import filled, trimmed
from lmprep.models.settings import ModelSettings


def from_hf(
    tensors: Mapping[str, Tensor], settings: ModelSettings, class_name: str | None = None
) -> dict[str, Tensor]:
    """A class's state under our names, with the vocabulary filled up as the model has it.

    The heads are those of the file, whether the settings ask for them or not: of a bare model none,
    and a pooler where its class has one beside the head it was saved for.

    Args:
        class_name: of transformers; None is the one that fits the settings.

    Raises:
        ValueError: no class fits, a tensor is missing or of another vocabulary's size, or it
            holds something that a model of ours has not.
    """
    name = hf_class(settings) if class_name is None else class_name
    try:
        return filled(read(tensors, CLASSES[name].layout(settings)), settings)
    except ValueError as error:
        raise ValueError(f"not the weights of such a {name}: {error}") from None


def to_hf(
    tensors: Mapping[str, Tensor], settings: ModelSettings, class_name: str | None = None
) -> dict[str, Tensor]:
    """Our state under a class's names, each tensor once, without filled-up vocabulary.

    Tied tensors, which the class knows under several names, are there under the first; so
    safetensors can store them. What the class has no room for is not there: a head of sentence
    pairs or span boundaries.

    Args:
        class_name: of transformers; None is the one that fits the settings.

    Raises:
        ValueError: no class fits.
    """
    name = hf_class(settings) if class_name is None else class_name
    return write(trimmed(tensors, settings), CLASSES[name].layout(settings))
