"""Stages of a training: which of its datasets it sees when.

BERT sees sequences of 128 tokens for 90 % of its training and of 512 for the rest
(arXiv:1810.04805, appendix A.2): `128:0.9` and `512:0.1`. A stage has the datasets whose sequences
have its length; without stages there is one, of all datasets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from lmprep.errors import UsageError
from lmprep.pretrain_settings import PretrainSettings
from lmprep.settings import parse_stage
from lmprep.shards.reader import Dataset
from lmprep.training.data import TrainingData
from lmprep.training.tasks import Task, task_of

# A share of steps done is a float: 4/6 is below 2/3. Far less than a step of any training.
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a training.

    Args:
        data: what it sees.
        end: share of the whole budget that is spent when it ends.
        name: `128 tokens`; empty for the only stage.
    """

    data: TrainingData
    end: Fraction
    name: str = ""


class Stages:
    """The parts of a training, in their order.

    Args:
        folders: dataset folders.

    Raises:
        UsageError: a stage has no dataset, a dataset no stage, or datasets do not go together.
    """

    def __init__(self, folders: Sequence[Path], settings: PretrainSettings) -> None:
        if settings.weights and len(settings.weights) != len(folders):
            raise UsageError(
                f"{len(settings.weights)} weights for {len(folders)} datasets",
                fix="Give one weight for each dataset, in their order",
            )
        self.all = list(_stages(folders, settings))
        first = self.all[0].data
        for stage in self.all[1:]:
            for dataset in stage.data.datasets:
                first.check_fits(dataset)

    def at(self, progress: float) -> int:
        """The number of the stage at a share of the budget."""
        for number, stage in enumerate(self.all):
            if progress < stage.end - _ROUNDING:
                return number
        return len(self.all) - 1

    @property
    def datasets(self) -> list[Dataset]:
        """Those of all stages."""
        return [dataset for stage in self.all for dataset in stage.data.datasets]

    @property
    def task(self) -> Task:
        """What is learnt; its length is the longest of the stages."""
        return max((stage.data.task for stage in self.all), key=lambda task: task.length)

    def check_fits(self, other: Dataset) -> None:
        """Raise `UsageError` unless a dataset has the traits of these."""
        self.all[0].data.check_fits(other)


def _stages(folders: Sequence[Path], settings: PretrainSettings) -> Iterable[Stage]:
    if not settings.stages:
        data = _data(folders, settings, settings.weights)
        yield Stage(data=data, end=Fraction(1))
        return
    lengths = [_length(folder) for folder in folders]
    parsed = [parse_stage(text) for text in settings.stages]
    for folder, length in zip(folders, lengths, strict=True):
        if length not in (wanted for wanted, _ in parsed):
            raise UsageError(
                f"no stage has sequences of {length} tokens as this dataset",
                path=folder,
                fix=f"Leave it out, or give a stage such as {length}:0.1",
            )
    end = Fraction(0)
    for length, share in parsed:
        chosen = [number for number, found in enumerate(lengths) if found == length]
        if not chosen:
            raise UsageError(
                f"stage {length} has no dataset: there are sequences of "
                f"{', '.join(map(str, sorted(set(lengths))))} tokens",
                fix=f"Build one with --length {length}, or change the stages",
            )
        weights = [settings.weights[number] for number in chosen] if settings.weights else []
        end += share
        data = _data(
            [folders[number] for number in chosen],
            settings,
            tuple(weight / sum(weights) for weight in weights),
        )
        yield Stage(data=data, end=end, name=f"{length} tokens")


def _length(folder: Path) -> int:
    return task_of(Dataset(folder).manifest, folder).length


def _data(
    folders: Sequence[Path], settings: PretrainSettings, weights: Sequence[Fraction]
) -> TrainingData:
    return TrainingData(
        folders,
        batch_tokens=settings.batch_tokens,
        seed=settings.seed,
        static=settings.static,
        weights=weights,
        packed=settings.packed,
    )
