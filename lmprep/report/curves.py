"""From the metrics of runs to curves: which there are, and where their points lie.

A run's metrics are the lines of its metrics.jsonl, records with at least `step`: lines of training
with numbers by name, and lines of validations, whose numbers stand in a record `validation`
(`lmprep.training.metrics` says which). N points of a curve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Line = Mapping[str, Any]
Values = NDArray[np.float64]

AXES = {"steps": "step", "tokens": "tokens", "time": "elapsed"}
"""What a curve can be drawn over, and the name of it in a line of training."""

# A point of a smoothed curve is the mean over this share of the run's points on either side.
_REACH = 0.02


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Points from left to right.

    Args:
        x: steps, tokens or seconds, float64 [N].
        y: values, float64 [N].
    """

    x: Values
    y: Values


def training_curve(lines: Sequence[Line], name: str, axis: str) -> Curve:
    """A number of the lines of training; those that lack it, all steps skipped, have no point.

    Args:
        axis: a key of `AXES`.
    """
    found = [
        (line[AXES[axis]], line[name]) for line in lines if name in line and AXES[axis] in line
    ]
    return _curve(found)


def validation_curve(lines: Sequence[Line], name: str, axis: str) -> Curve:
    """A number of the validations, each at the place that its step has among those of training."""
    found = [
        (line["step"], line["validation"][name])
        for line in lines
        if name in line.get("validation", {})
    ]
    curve = _curve(found)
    return Curve(x=_places(lines, axis, curve.x), y=curve.y)


def skips(lines: Sequence[Line], axis: str) -> Values:
    """Where steps were skipped: x of the lines in which their count has risen."""
    counted = training_curve(lines, "skipped", axis)
    return counted.x[np.diff(counted.y, prepend=0) > 0]


def training_names(runs: Sequence[Sequence[Line]]) -> list[str]:
    """Names of the losses by objective that lines of training have, in their order.

    The sum of the losses is one of them only where nothing else is there.
    """
    lines = (line for run in runs for line in run if "validation" not in line)
    found = dict.fromkeys(name for line in lines for name in line if name.endswith("_loss"))
    return list(found) or ["loss"]


def validation_names(runs: Sequence[Sequence[Line]]) -> list[str]:
    """Names of the losses that validations have, in their order."""
    figures = (line["validation"] for run in runs for line in run if "validation" in line)
    return list(dict.fromkeys(n for found in figures for n in found if n.endswith("_loss")))


def smoothed(y: Values) -> Values:
    """Means over the points around each.

    The window is as wide to the left as to the right, so that a curve that falls is not moved; at
    the beginning it is as narrow as it must be for that, at the end it lies to the left: what
    counts there is a value without noise.
    """
    numbers = np.arange(len(y))
    left = np.minimum(numbers, reach(len(y)))
    right = np.minimum(left, len(y) - 1 - numbers)
    sums = np.concatenate(([0.0], np.cumsum(y)))
    means: Values = (sums[numbers + right + 1] - sums[numbers - left]) / (left + right + 1)
    return means


def reach(count: int) -> int:
    """Points on either side that a smoothed one of `count` is the mean of."""
    return int(_REACH * count)


def run_names(runs: Sequence[Path]) -> list[str]:
    """What tells different runs apart: the last parts of each one's path, as few as do."""
    paths = [run.resolve().parts for run in runs]

    def name(own: tuple[str, ...]) -> str:
        others = [path for path in paths if path != own]
        for count in range(1, len(own)):
            if all(path[-count:] != own[-count:] for path in others):
                return "/".join(own[-count:])
        return str(Path(*own))

    return [name(path) for path in paths]


def _curve(points: Sequence[tuple[float, float]]) -> Curve:
    table = np.array(points, np.float64).reshape(-1, 2)
    return Curve(x=table[:, 0], y=table[:, 1])


def _places(lines: Sequence[Line], axis: str, steps: Values) -> Values:
    """Where steps lie on the axis: between the lines of training, and beyond them, in proportion.

    Args:
        steps: float64 [N].
    """
    if axis == "steps":
        return steps
    known = [
        (line["step"], line[AXES[axis]]) for line in lines if line["step"] and AXES[axis] in line
    ]
    if not known:
        return np.full(len(steps), np.nan)
    there = _curve([(0.0, 0.0), *known])
    beyond = there.y[-1] / there.x[-1] * steps
    return np.where(steps > there.x[-1], beyond, np.interp(steps, there.x, there.y))
