"""The first weights of a training that does not begin from nothing.

A model that is there already (`pretrained`) goes on with other data: its kind must be the
objective's, its vocabulary the datasets'. Heads that it lacks begin with fresh weights, heads that
nothing is asked of stay behind.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from lmprep.errors import CheckpointError, UsageError
from lmprep.models.language_model import LanguageModel
from lmprep.models.settings import ModelSettings, model_settings
from lmprep.training.fit import check_shape
from lmprep.training.pretrained import Pretrained, find_pretrained
from lmprep.training.tasks import Task

_log = logging.getLogger("lmprep")

_SAME_SHAPE = "Leave --model out: the model then takes its shape from --init"

# Parts of a model that are no part of what it has learnt of the language.
_HEADS = (
    "encoder.pooler", "masked_token_head", "pair_head", "span_boundary_head",
    "replaced_token_head", "generator",
)  # fmt: skip
# What --model may say otherwise than the source: what is none of the shape, ...
_OF_TRAINING = ("dropout", "attention_dropout", "full_dropout", "initialization")
# ... the heads, and what the source's tables decide.
_FREE = (
    *_OF_TRAINING,
    "pooler",
    "span_boundary",
    "generator_width",
    "vocabulary_size",
    "vocabulary_multiple",
)


class Initial(NamedTuple):
    """What a training begins from.

    Args:
        settings: of the model to train.
        tensors: by the names of its parameters, in any precision; heads may be missing, or too
            many.
        description: where they are from.
    """

    settings: ModelSettings
    tensors: dict[str, Tensor]
    description: str


def initial_model(source: str, task: Task, tokenizer: Path, model: str = "") -> Initial:
    """The model to begin from, checked against what it is to learn.

    Args:
        source: a run folder, RUN/checkpoints/step-N, a folder of Hugging Face's layout, or a name
            on its hub.
        task: what is to be learnt; its length is that of the longest rows.
        tokenizer: the tokenizer folder of the datasets.
        model: a name or TOML file, if one is given too; then the shapes must agree, but for heads,
            and dropout is that of `model`.

    Raises:
        UsageError: there is no such model, or it does not go with the task or with `model`.
        CheckpointError: its files are damaged.
    """
    found = find_pretrained(source)
    check_shape(found.settings, task.objective, task.length, path=Path(found.description))
    check_vocabulary(found, task, tokenizer)
    settings = _with_heads(_agreed(found, model, task.vocabulary.size), task)
    tensors = found.tensors
    if found.settings.has_generator != task.replaces:  # the head is the generator's, or is not
        tensors = {k: v for k, v in tensors.items() if not k.startswith("masked_token_head.")}
    return Initial(settings, tensors, found.description)


def begin_from(model: LanguageModel, initial: Initial) -> list[str]:
    """Put the weights into a freshly initialised model.

    Returns:
        The heads that stay fresh; a warning names them, and those that are left behind.

    Raises:
        CheckpointError: another part of the model is missing, or has another shape.
    """
    state = model.state_dict()
    fresh = _heads_of(set(state) - set(initial.tensors), "has no", initial)
    left = _heads_of(set(initial.tensors) - set(state), "has, unlike this model,", initial)
    with torch.no_grad():
        for name in state.keys() & initial.tensors.keys():
            if state[name].shape != initial.tensors[name].shape:
                raise CheckpointError(
                    f"{name} has the shape {list(initial.tensors[name].shape)}, not "
                    f"{list(state[name].shape)}",
                    path=initial.description,
                    fix=_SAME_SHAPE,
                )
            state[name].copy_(initial.tensors[name])
    if fresh:
        _log.warning("%s: no %s; fresh weights there.", initial.description, " and ".join(fresh))
    if left:
        _log.warning("%s: its %s stays behind.", initial.description, " and ".join(left))
    return fresh


def _heads_of(names: set[str], what: str, initial: Initial) -> list[str]:
    """The heads that parameters belong to, in words."""
    heads = {head for head in _HEADS for name in names if name.startswith(f"{head}.")}
    if other := sorted(name for name in names if not name.startswith(tuple(heads) or " ")):
        raise CheckpointError(f"it {what} {other[0]}", path=initial.description, fix=_SAME_SHAPE)
    return [_in_words(head) for head in _HEADS if head in heads]


def _in_words(head: str) -> str:
    return head.rpartition(".")[2].replace("_", " ")


def _agreed(found: Pretrained, model: str, vocabulary_size: int) -> ModelSettings:
    """The source's settings, with those of training that `model` says.

    Raises:
        UsageError: `model` has another shape.
    """
    if not model:
        return found.settings
    asked = model_settings(model, vocabulary_size=vocabulary_size)
    for name in (f.name for f in fields(asked) if f.name not in _FREE):
        here, there = getattr(asked, name), getattr(found.settings, name)
        if here != there:
            raise UsageError(
                f"--model {model} has {name} {here}, the model to begin from {there}",
                path=found.description,
                fix="Leave out --model: its shape is that of --init",
            )
    return replace(found.settings, **{name: getattr(asked, name) for name in _OF_TRAINING})


def _with_heads(settings: ModelSettings, task: Task) -> ModelSettings:
    """The settings with the heads that the task needs, and without a span-boundary head for
    other objectives."""
    if settings.kind != "encoder":
        return settings
    return replace(
        settings,
        pooler=settings.pooler or task.pairs != "none",
        span_boundary=settings.span_boundary if task.objective == "span" else 0,
    )


def check_vocabulary(found: Pretrained, task: Task, tokenizer: Path) -> None:
    """Raise unless every id of the datasets has an embedding; warn if some mean another token."""
    size, wanted = found.settings.vocabulary_size, task.vocabulary.size
    if size < wanted:
        raise UsageError(
            f"the model has {size} tokens, the datasets' tokenizer {wanted}",
            path=found.description,
            fix=f"Build the datasets with its own tokenizer: lmprep build -t {found.tokenizer}",
        )
    theirs, ours = _ids_by_token(found.tokenizer), _ids_by_token(tokenizer)
    if theirs is None or ours is None:
        _log.warning(
            "%s: no tokenizer there to compare with the datasets'; if it is another one, the "
            "embeddings are those of other tokens.",
            found.description,
        )
        return
    if others := [token for token, id in ours.items() if theirs.get(token) != id]:
        first = others[0]
        _log.warning(
            "%s: its tokenizer is not that of the datasets: %d of %d tokens have other ids "
            "there (%r: %s there, %d here), so their embeddings are those of other tokens. Build "
            "the datasets with -t %s to avoid that.",
            found.description, len(others), len(ours), first, theirs.get(first), ours[first],
            found.tokenizer,
        )  # fmt: skip


def _ids_by_token(folder: Path) -> Mapping[str, int] | None:
    """A tokenizer's vocabulary; None where no file tells it."""
    if (path := folder / "tokenizer.json").is_file():
        ids: dict[str, int] = Tokenizer.from_file(str(path)).get_vocab()
        return ids
    if (path := folder / "vocab.json").is_file():
        return dict(json.loads(path.read_bytes()))
    if (path := folder / "vocab.txt").is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
        return {token: number for number, token in enumerate(lines)}
    return None
