"""What a training needs, found to go together before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from torch import Tensor

from lmprep.errors import UsageError
from lmprep.models.settings import ModelSettings, model_settings
from lmprep.models.sizes import MODELS, named_shape
from lmprep.models.spellings import spellings_of
from lmprep.objectives import stored_objective
from lmprep.objectives.counting import wanted_predictions
from lmprep.pretrain_settings import PretrainSettings
from lmprep.shards.reader import Dataset
from lmprep.training import checkpoints, run_folder
from lmprep.training.distributed import check_ranks, ranks_here
from lmprep.training.embeddings import TokenVectors, read_token_vectors
from lmprep.training.fit import check_model
from lmprep.training.initial import Initial, initial_model
from lmprep.training.stages import Stages
from lmprep.training.tasks import Task, task_of
from lmprep.training.teaching import Teacher, check_student, find_teacher, student_start


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Datasets, model and settings that have been found to go together.

    Args:
        initial: the weights to start from; None for fresh ones.
        teacher: of a distillation.
        embeddings: word vectors that tokens start from; None without.
    """

    settings: PretrainSettings
    model: ModelSettings
    stages: Stages
    validation: Dataset | None
    initial: Initial | None
    teacher: Teacher | None = None
    embeddings: TokenVectors | None = None

    @property
    def teacher_sha256(self) -> str | None:
        """Of the teacher's weights."""
        return None if self.teacher is None else self.teacher.sha256

    def spellings(self) -> Tensor:
        """How the datasets' tokens are spelled, for models that read characters.

        Raises:
            UsageError: they have too many special tokens.
        """
        first = self.stages.datasets[0]
        path = first.folder / "tokenizer" / "tokenizer.json"
        tokens = Tokenizer.from_file(str(path)).get_vocab()
        try:
            return spellings_of(tokens, first.vocabulary.special, self.model.vocabulary_size)
        except ValueError as error:
            raise UsageError(
                str(error), path=path, fix="`lmprep docs elmo` has models that read tokens"
            ) from None


def prepare(
    datasets: Sequence[Path],
    settings: PretrainSettings,
    validation: Path | None = None,
    continued: Path | None = None,
) -> Setup:
    """Check that datasets and settings go together, before any work.

    Args:
        validation: held-out dataset; by default that of the run that is continued.
        continued: the run folder, if one is continued.

    Raises:
        UsageError: they do not.
        DatasetError: a dataset is unfinished or damaged.
    """
    stages = Stages(datasets, settings)
    initial = _initial(settings, stages, continued)
    model = _model(settings, stages, continued, initial)
    teacher = _teacher(settings, stages, model)
    if teacher is not None and settings.init is None and not _has_begun(continued):
        initial = student_start(teacher, model)
    for stage in stages.all:
        stage.data.task = replace(
            stage.data.task, longest_span=model.span_boundary, distils=teacher is not None
        )
        check_ranks(ranks_here(), stage.data.bins, stage.data.task.length)
    if validation is None and continued is not None:
        validation = run_folder.recorded_validation(continued)
    held_out = None if validation is None else Dataset(validation)
    if held_out is not None:
        stages.check_fits(held_out)
    for dataset in [*stages.datasets, *([held_out] if held_out else [])]:
        check_model(dataset, model)
    return Setup(
        settings=_uncompiled(settings) if model.kind == "bi-lstm" else settings,
        model=model,
        stages=stages,
        validation=held_out,
        initial=initial,
        teacher=teacher,
        embeddings=_embeddings(settings, stages, continued, model),
    )


def _teacher(settings: PretrainSettings, stages: Stages, student: ModelSettings) -> Teacher | None:
    if settings.teacher is None:
        return None
    tokenizer = stages.datasets[0].folder / "tokenizer"
    teacher = find_teacher(settings.teacher, stages.task, tokenizer)
    check_student(settings, student, teacher)
    return teacher


def _initial(settings: PretrainSettings, stages: Stages, continued: Path | None) -> Initial | None:
    """What `--init` names; nothing once there is a checkpoint to go on from."""
    if settings.init is None or _has_begun(continued):
        return None
    tokenizer = stages.datasets[0].folder / "tokenizer"
    return initial_model(settings.init, stages.task, tokenizer, settings.model)


def _embeddings(
    settings: PretrainSettings, stages: Stages, continued: Path | None, model: ModelSettings
) -> TokenVectors | None:
    """What `--init-embeddings` names; nothing once there is a checkpoint to go on from."""
    if settings.init_embeddings is None or _has_begun(continued):
        return None
    if model.filters:
        raise UsageError(
            f"{settings.model} reads characters and has no embeddings of tokens",
            fix="Choose one that has, such as elmo-small-tokens",
        )
    tokenizer = stages.datasets[0].folder / "tokenizer"
    return read_token_vectors(Path(settings.init_embeddings), tokenizer, model.embedding_width)


def _uncompiled(settings: PretrainSettings) -> PretrainSettings:
    """Of LSTMs there is nothing to compile: the libraries bring them whole."""
    return replace(settings, compile="off") if settings.compile == "auto" else settings


def _has_begun(continued: Path | None) -> bool:
    return continued is not None and bool(checkpoints.steps(continued))


def _model(
    settings: PretrainSettings,
    stages: Stages,
    continued: Path | None,
    initial: Initial | None,
) -> ModelSettings:
    changes: dict[str, Any] = {}
    if settings.dropout is not None:
        changes = {"dropout": settings.dropout, "attention_dropout": settings.dropout}
    if continued is not None and (recorded := run_folder.recorded_model(continued, settings.model)):
        return replace(recorded, **changes)
    task = stages.task
    if initial is not None:
        model = replace(initial.settings, **changes)
    else:
        size = task.vocabulary.size
        model = model_settings(settings.model, vocabulary_size=size, **changes)
    if model.kind != "encoder":
        return model
    if initial is None:
        model = replace(model, pooler=task.pairs != "none")
    model = replace(model, generator_width=_generator_width(settings.model, model, task))
    if task.objective != "span":
        return model
    return replace(model, span_boundary=_longest_span(settings, stages, model))


def _generator_width(name: str, model: ModelSettings, task: Task) -> int:
    """What the model says, else that of the named one's generator, else a quarter of the width."""
    if not task.replaces:
        return 0
    if model.generator_width:
        return model.generator_width
    generator = f"{name}-generator"
    if generator in MODELS:
        return int(named_shape(generator)["width"])
    return max(1, model.width // 4)


def _longest_span(settings: PretrainSettings, stages: Stages, model: ModelSettings) -> int:
    """What the model says, else so much that no span is longer; 0 if the loss has no weight."""
    if settings.boundary_weight == 0:
        return 0
    return model.span_boundary or max(map(_predictions_a_row, stages.datasets))


def _predictions_a_row(dataset: Dataset) -> int:
    """How many tokens of a row of a masked objective are predicted at most."""
    rate = stored_objective(dataset.manifest)[1].mask_rate
    length = task_of(dataset.manifest, dataset.folder).length
    return int(wanted_predictions(np.array([0, length]), rate)[0])
