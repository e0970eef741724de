"""The tasks, each from its files to its figures."""

from __future__ import annotations

from typing import Any

from lmprep.errors import UsageError
from lmprep.finetuning.settings import FinetuneSettings
from lmprep.finetuning.tasks.base import Task
from lmprep.finetuning.tasks.choice import ChoiceTask
from lmprep.finetuning.tasks.qa import QuestionTask
from lmprep.finetuning.tasks.span import SpanTask
from lmprep.finetuning.tasks.tag import TagTask
from lmprep.finetuning.tasks.text import TextTask
from lmprep.finetuning.tasks.text_to_text import ChoiceAsText, LabelAsText
from lmprep.models.settings import ModelSettings
from lmprep.vocabulary import Vocabulary

_TASKS: dict[str, type[Task[Any]]] = {
    "classify": TextTask,
    "pair": TextTask,
    "choice": ChoiceTask,
    "tag": TagTask,
    "span": SpanTask,
    "qa": QuestionTask,
}
_AS_TEXT: dict[str, type[Task[Any]]] = {
    "classify": LabelAsText,
    "pair": LabelAsText,
    "choice": ChoiceAsText,
}


def task_for(settings: FinetuneSettings, model: ModelSettings, vocabulary: Vocabulary) -> Task[Any]:
    """The task that the settings name, as a model of this kind does it.

    Raises:
        UsageError: models of this kind do not do it, or not with these settings.
    """
    name, kind = settings.task, model.kind
    table = _AS_TEXT if kind == "encoder-decoder" else _TASKS
    if name not in table or (kind == "decoder" and name not in _AS_TEXT):
        raise UsageError(
            f"{name} is for encoders, and this model is of kind {kind}",
            fix=f"It can do {', '.join(_AS_TEXT)}; or take a model such as bert or roberta",
        )
    if kind == "encoder-decoder" and settings.frozen:
        raise UsageError(
            "a model that writes its answers has no head to train while it is frozen",
            fix="Leave out --frozen, or use --unfreeze-last",
        )
    if kind == "bi-lstm" and not settings.frozen:
        raise UsageError(
            "a bi-LSTM's states are used as features, and it does not learn with the task",
            fix="Add --frozen, and --layers learned-mix as ELMo has it",
        )
    if settings.unfreeze_last is not None and model.shared_layers:
        raise UsageError(
            "all layers of this model are one, so its last ones cannot learn alone",
            fix="Leave out --unfreeze-last",
        )
    if settings.unfreeze_last is not None and settings.unfreeze_last > model.layers:
        raise UsageError(
            f"--unfreeze-last {settings.unfreeze_last}: it has {model.layers} layers",
            fix=f"Give 0 to {model.layers}, or leave it out for all of them",
        )
    return table[name](settings, vocabulary)
