"""How far a training is, and whether it has to end: the same on all ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from lmprep.errors import Interrupted, Terminated
from lmprep.pretrain_settings import PretrainSettings
from lmprep.training.clock import Clock
from lmprep.training.distributed import Ranks
from lmprep.training.interruption import StopRequest
from lmprep.training.schedules import Budget


@dataclass
class Counters:
    """What has been done.

    Args:
        step: updates, skipped ones included.
        tokens: seen, padding not counted.
        stage: number of the present stage.
        position: rows of its endless order that are taken.
    """

    step: int = 0
    tokens: int = 0
    stage: int = 0
    position: int = 0


class Pace:
    """Counters, clock and budget.

    Ranks have clocks of their own, and a signal may reach one alone: all go by the first one's
    clock and by every signal, as of the last time they `agree`.

    Args:
        device: of the training.
    """

    def __init__(self, settings: PretrainSettings, ranks: Ranks, device: torch.device) -> None:
        self.counters, self.clock = Counters(), Clock()
        self.asked: type[Interrupted] | None = None  # to stop, by a signal
        self._budget, self._ranks, self._device = Budget.of(settings), ranks, device
        self._seconds = 0.0

    @property
    def finished(self) -> bool:
        """Is the budget spent?"""
        return self.spent() >= 1

    def spent(self, *, more_steps: float = 0, more_tokens: float = 0) -> float:
        """Share of the budget, from 0; with so many more steps and tokens."""
        return self._budget.spent(
            steps=self.counters.step + more_steps,
            tokens=self.counters.tokens + more_tokens,
            seconds=self._seconds,
        )

    def agree(self, stop: StopRequest) -> None:
        """Hear of the other ranks' signals and of the first one's clock; all must ask."""
        seconds = self.clock.seconds if self._ranks.leads else 0.0
        asked = [float(stop.kind is kind) for kind in (Interrupted, Terminated)]
        self._seconds, *asked = self._ranks.total([seconds, *asked], self._device)
        self.asked = Terminated if asked[1] else Interrupted if asked[0] else None

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {**vars(self.counters), "seconds": self.clock.seconds}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The way back from `state`."""
        self.counters = Counters(**{name: state[name] for name in vars(self.counters)})
        self.clock, self._seconds = Clock(state["seconds"]), state["seconds"]
