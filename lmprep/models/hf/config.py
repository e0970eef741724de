"""Settings as the config.json of a class of transformers, and back.

What such a file does not say is the family's: how fresh weights are drawn, dropout within the
feed-forward, a span-boundary head. What it says about generation or fine-tuning is no shape. T5's
has one rate of dropout for all, which is that of `dropout`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmprep.models.hf.classes import CLASSES
from lmprep.models.hf.model_types import MODEL_TYPES, ModelType
from lmprep.models.settings import ModelSettings
from lmprep.models.sizes import family_shape
from lmprep.settings import settings_from
from lmprep.vocabulary import Vocabulary

# False for a T5 with an output matrix of its own, which is that of version 1.1. The first is what
# transformers 4 reads; 5 keeps it True, and writes the second.
_T5_FLAGS = ("tie_word_embeddings", "scale_decoder_outputs")


def write_config(
    settings: ModelSettings,
    class_name: str,
    vocabulary: Vocabulary,
    start_token: int | None = None,
) -> dict[str, Any]:
    """What config.json holds.

    Args:
        class_name: of transformers, as `hf_class` gives it.
        vocabulary: whose special tokens the model knows.
        start_token: that a decoder behind an encoder begins with.

    Raises:
        ValueError: such a class cannot be such a model, or not with this vocabulary.
    """
    if differences := CLASSES[class_name].differences(settings):
        raise ValueError(f"{class_name} has {'; '.join(differences)}")
    model_type = CLASSES[class_name].model_type
    known = MODEL_TYPES[model_type]
    written: dict[str, Any] = {"architectures": [class_name], "model_type": model_type}
    for key, name, _ in known.keys:
        written.setdefault(key, _there(known, name, getattr(settings, name)))
    if model_type == "t5":
        written |= dict.fromkeys(_T5_FLAGS, settings.output == "tied-scaled")
    for key, role in known.tokens.items():
        written[key] = start_token if role == "start" else getattr(vocabulary, role)
    written["is_encoder_decoder"] = settings.kind == "encoder-decoder"
    _check_constants(written, known)
    return written


def read_config(config: Mapping[str, Any]) -> ModelSettings:
    """The shape that a config.json describes.

    An encoder has a pooler if the class that wrote the file has a head of sentence pairs.

    Raises:
        ValueError: a key, which the message names, has a value that no model of ours has.
    """
    known = _model_type(config)
    _check_constants(config, known)
    shape = family_shape(known.family)
    sources: dict[str, str] = {}
    for key, name, default in known.keys:
        value = default if config.get(key) is None else config[key]
        if value is None:
            continue
        ours = _here(known, key, name, value)
        if name in sources and shape[name] != ours:
            raise ValueError(f"{key} is {value!r}, but {sources[name]} gives {shape[name]!r}")
        shape[name], sources[name] = ours, key
    if known.family == "t5":
        tied = all(config.get(flag) is not False for flag in _T5_FLAGS)
        shape["output"] = "tied-scaled" if tied else "separate"
    if known.family in ("bert", "albert") and config.get("architectures"):
        shape["pooler"] = (
            CLASSES[known.reads_as].pairs and known.reads_as in config["architectures"]
        )
    try:
        return settings_from(ModelSettings, shape)
    except ValueError as error:  # begins with the name of a setting
        name, _, rest = str(error).partition(" ")
        raise ValueError(f"{sources.get(name, name)} {rest}") from None


def reading_class(config: Mapping[str, Any]) -> str:
    """The class whose layout, for `from_hf`, weights beside a config.json have.

    Raises:
        ValueError: a model type that is not known.
    """
    return _model_type(config).reads_as


def _model_type(config: Mapping[str, Any]) -> ModelType:
    name = config.get("model_type")
    if name not in MODEL_TYPES:
        raise ValueError(f"model_type is {name!r}; it must be one of {', '.join(MODEL_TYPES)}")
    return MODEL_TYPES[name]


def _check_constants(config: Mapping[str, Any], known: ModelType) -> None:
    for key, only in known.constants.items():
        if (value := config.get(key, only)) != only:
            raise ValueError(f"{key} is {value!r}; models of ours have only {only!r}")


def _there(known: ModelType, name: str, value: Any) -> Any:
    """The value of a setting as the file has it."""
    if name == "activation":
        return next(theirs for theirs, ours in known.activations.items() if ours == value)
    if name == "max_length":
        return value + known.more_positions
    return max(value, 1) if name == "types" else value  # without types: one of zeros


def _here(known: ModelType, key: str, name: str, value: Any) -> Any:
    """A value of the file as we have it."""
    if name == "activation":
        if value not in known.activations:
            choices = ", ".join(known.activations)
            raise ValueError(f"{key} is {value!r}; it must be one of {choices}")
        return known.activations[value]
    return value - known.more_positions if name == "max_length" else value
