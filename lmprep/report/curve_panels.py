"""Which curves of runs there are to draw, whoever draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from lmprep.report.curves import (
    Curve,
    Line,
    training_curve,
    training_names,
    validation_curve,
    validation_names,
)


@dataclass(frozen=True, kw_only=True)
class CurvePanel:
    """One pair of axes.

    Args:
        title: above it.
        curve: from the lines of a run.
        noisy: whether a smoothed curve is drawn, and the values themselves only faintly.
        points: whether its values are few, and each is marked.
        unit: of the values: `number`, `count` or `share`, on a scale that begins at 0; empty for
            losses, whose scale need not.
    """

    title: str
    curve: Callable[[Sequence[Line]], Curve]
    noisy: bool = False
    points: bool = False
    unit: str = ""


_OTHERS = {
    "lr": ("learning rate", "number"),
    "tokens_per_second": ("tokens a second", "count"),
    "utilisation": ("share of the device's peak", "share"),
}


def curve_panels(runs: Sequence[Sequence[Line]], axis: str) -> list[CurvePanel]:
    """What there is to draw: each loss of training, that of validations beside it; the rest."""
    trained, held_out = training_names(runs), validation_names(runs)
    panels = []
    for name in dict.fromkeys([*trained, *held_out]):
        if name in trained:
            panels.append(_trained(name, f"{_words(name)}, training", axis, ""))
        if name in held_out:
            curve = partial(validation_curve, name=name, axis=axis)
            panels.append(CurvePanel(title=f"{_words(name)}, held out", curve=curve, points=True))
    for name, (title, unit) in _OTHERS.items():
        if any(name in line for run in runs for line in run):
            panels.append(_trained(name, title, axis, unit))
    return panels


def _trained(name: str, title: str, axis: str, unit: str) -> CurvePanel:
    curve = partial(training_curve, name=name, axis=axis)
    return CurvePanel(title=title, curve=curve, noisy=name != "lr", unit=unit)


def _words(name: str) -> str:
    return name.replace("_", " ")


def axis_unit(axis: str, runs: Iterable[Sequence[Line]]) -> tuple[str, float]:
    """What the x axis counts, and how much of the lines' numbers is one."""
    if axis != "time":
        return axis, 1.0
    longest = max((line.get("elapsed", 0.0) for run in runs for line in run), default=0.0)
    if longest < 3 * 60:
        return "seconds of training", 1.0
    return ("minutes of training", 60.0) if longest < 3 * 3600 else ("hours of training", 3600.0)
