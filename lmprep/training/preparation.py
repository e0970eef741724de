"""What a training needs, found to go together before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lmprep.models.settings import ModelSettings, model_settings
from lmprep.objectives import stored_objective
from lmprep.objectives.counting import wanted_predictions
from lmprep.settings import PretrainSettings
from lmprep.shards.reader import Dataset
from lmprep.training import checkpoints, run_folder
from lmprep.training.distributed import check_ranks, ranks_here
from lmprep.training.fit import check_model
from lmprep.training.initial import Initial, initial_model
from lmprep.training.stages import Stages
from lmprep.training.tasks import task_of


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Datasets, model and settings that have been found to go together.

    Args:
        initial: the weights to start from; None for fresh ones.
    """

    settings: PretrainSettings
    model: ModelSettings
    stages: Stages
    validation: Dataset | None
    initial: Initial | None


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
    for stage in stages.all:
        stage.data.task = replace(stage.data.task, longest_span=model.span_boundary)
        check_ranks(ranks_here(), stage.data.bins, stage.data.task.length)
    if validation is None and continued is not None:
        validation = run_folder.recorded_validation(continued)
    held_out = None if validation is None else Dataset(validation)
    if held_out is not None:
        stages.check_fits(held_out)
    for dataset in [*stages.datasets, *([held_out] if held_out else [])]:
        check_model(dataset, model)
    return Setup(
        settings=settings, model=model, stages=stages, validation=held_out, initial=initial
    )


def _initial(settings: PretrainSettings, stages: Stages, continued: Path | None) -> Initial | None:
    """What `--init` names; nothing once there is a checkpoint to go on from."""
    if settings.init is None or (continued is not None and checkpoints.steps(continued)):
        return None
    tokenizer = stages.datasets[0].folder / "tokenizer"
    return initial_model(settings.init, stages.task, tokenizer, settings.model)


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
    if task.objective != "span":
        return model
    return replace(model, span_boundary=_longest_span(settings, stages, model))


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
