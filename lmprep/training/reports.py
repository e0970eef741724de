"""What a training tells of itself: means and speeds over the steps since the last line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lmprep.training.metrics import Progress
from lmprep.training.throughput import Peak


class Reporter:
    """Gathers steps into lines.

    Args:
        losses: names of those that are reported.
        peak: what all devices together could do; asked when the first line is due.
    """

    def __init__(self, losses: Sequence[str], peak: Callable[[], Peak]) -> None:
        self.means: dict[str, float] = {}  # of the last line that had any
        self._names, self._peak = (*losses, "grad_norm"), peak
        self._line: dict[str, float] = {}  # the last one
        self._begin([], 0.0)

    def _begin(self, steps: list[dict[str, float]], seconds: float) -> None:
        self._steps, self._since = steps, seconds
        self._tokens, self._flops = 0, 0.0

    def add(self, losses: Mapping[str, float] | None, tokens: int, flops: float) -> None:
        """Count a step.

        Args:
            losses: None for one that was skipped.
            tokens: of the text it saw.
            flops: that the model needed for it, on all ranks.
        """
        self._tokens += tokens
        self._flops += flops
        if losses is not None:
            self._steps.append({name: losses[name] for name in ("loss", *self._names)})

    def close(self, *, lr: float, skipped: int, seconds: float) -> dict[str, float]:
        """The numbers of a line over the steps since the last one; a new one begins.

        Args:
            lr: of the last step.
            skipped: steps, since the training began.
            seconds: of training.
        """
        passed = max(seconds - self._since, 1e-9)
        if self._steps:
            self.means = _means(self._steps)
        self._line = {
            **(self.means if self._steps else {}),
            "lr": lr,
            "tokens_per_second": self._tokens / passed,
            "utilisation": self._flops / passed / self._peak().flops,
            "skipped": skipped,
            "elapsed": seconds,
        }
        self._begin([], seconds)
        return self._line

    def progress(self, **place: Any) -> Progress:
        """The last line for whoever draws it, with where the training is."""
        line = self._line
        return Progress(
            loss=self.means.get("loss", math.nan),
            losses={name: self.means[name] for name in self._names[:-1] if name in self.means},
            lr=line["lr"],
            tokens_per_second=line["tokens_per_second"],
            utilisation=line["utilisation"],
            peak=self._peak().source,
            skipped=int(line["skipped"]),
            elapsed=line["elapsed"],
            **place,
        )

    def state(self) -> dict[str, Any]:
        """For a checkpoint: what is told, and what the next line is to tell of."""
        return {"means": self.means, "steps": self._steps}

    def restore(self, state: Mapping[str, Any], seconds: float) -> None:
        """The way back from `state`; speeds are those after it."""
        self.means = dict(state["means"])
        self._begin([dict(step) for step in state["steps"]], seconds)


def _means(steps: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(step[name] for step in steps) / len(steps) for name in steps[0]}
