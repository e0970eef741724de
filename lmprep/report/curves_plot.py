"""The curves of several runs in one picture: losses, learning rate and pace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, Formatter, FuncFormatter, PercentFormatter

from lmprep.report.curves import (
    Curve,
    Line,
    reach,
    skips,
    smoothed,
    training_curve,
    training_names,
    validation_curve,
    validation_names,
)
from lmprep.report.pictures import COLOURS, plain, save_picture

_PANEL = (5.6, 3.0)  # inches
_COLUMNS = 2
# Seven, six and seven: no two of the first 42 runs look alike, and without colours no two of the
# first six.
_COLOURS = ("#000000", *(COLOURS[number] for number in (0, 5, 2, 3, 1, 4)))
_DASHES = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.5)),
    (0, (7, 2, 1, 2)),
    (0, (10, 4)),
    (0, (3, 1, 1, 1, 1, 1)),
)
_MARKERS = "osD^vPX"

_Look = dict[str, Any]
"""Colour, linestyle and marker of a run."""


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """One pair of axes.

    Args:
        title: above it.
        curve: from the lines of a run.
        noisy: whether a smoothed curve is drawn, and the values themselves only faintly.
        points: whether its values are few, and each is marked.
        formatter: of the values; None for matplotlib's own, and a scale that need not begin at 0.
    """

    title: str
    curve: Callable[[Sequence[Line]], Curve]
    noisy: bool = False
    points: bool = False
    formatter: Formatter | None = None


def plot_curves(runs: Mapping[str, Sequence[Line]], path: Path, axis: str) -> None:
    """Draw the metrics of runs over each other into a file.

    Args:
        runs: lines of metrics by the name of the run.
        path: with the suffix .png or .svg.
        axis: a key of `curves.AXES`.
    """
    save_picture(curves_figure(runs, axis), path)


def curves_figure(runs: Mapping[str, Sequence[Line]], axis: str) -> Figure:
    """The picture: a panel for each loss of training and of validations, learning rate, pace."""
    panels = _panels(list(runs.values()), axis)
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(_PANEL[0] * _COLUMNS, _PANEL[1] * rows + 0.6), layout="constrained")
    looks = {name: _look(number) for number, name in enumerate(runs)}
    unit, per_unit = _unit(axis, runs.values())
    for place, panel in enumerate(panels):
        over = figure.axes[0] if place else None
        axes = figure.add_subplot(rows, _COLUMNS, place + 1, sharex=over)
        for name, lines in runs.items():
            _draw(axes, panel, panel.curve(lines), per_unit, looks[name])
        _furnish(axes, panel, unit)
    figure.axes[0].set_xlim(left=0)
    skipped = {name: skips(lines, axis) / per_unit for name, lines in runs.items()}
    first = figure.axes[0]
    for name, x in skipped.items():
        where = first.get_xaxis_transform()  # x as the curves, y from the bottom to the top
        first.plot(x, [0.03] * len(x), "x", color=looks[name]["color"], transform=where)
    _legend(figure, looks, any(map(len, skipped.values())))
    if any(reach(len(lines)) for lines in runs.values()):
        figure.supxlabel("faint: as logged; strong: the mean around each point", fontsize=9)
    return figure


def _panels(runs: Sequence[Sequence[Line]], axis: str) -> list[_Panel]:
    """What there is to draw: each loss of training, that of validations beside it; the rest."""
    trained, held_out = training_names(runs), validation_names(runs)
    panels = []
    for name in dict.fromkeys([*trained, *held_out]):
        if name in trained:
            panels.append(_trained(name, f"{_words(name)}, training", axis, None))
        if name in held_out:
            curve = partial(validation_curve, name=name, axis=axis)
            panels.append(_Panel(title=f"{_words(name)}, held out", curve=curve, points=True))
    others: dict[str, tuple[str, Formatter]] = {
        "lr": ("learning rate", FuncFormatter(lambda value, _: f"{value:g}")),
        "tokens_per_second": ("tokens a second", EngFormatter(sep="")),
        "utilisation": ("share of the device's peak", PercentFormatter(1.0, decimals=0)),
    }
    for name, (title, formatter) in others.items():
        if any(name in line for run in runs for line in run):
            panels.append(_trained(name, title, axis, formatter))
    return panels


def _trained(name: str, title: str, axis: str, formatter: Formatter | None) -> _Panel:
    curve = partial(training_curve, name=name, axis=axis)
    return _Panel(title=title, curve=curve, noisy=name != "lr", formatter=formatter)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _look(number: int) -> _Look:
    """Of run `number`."""
    return {
        "color": _COLOURS[(number + 1) % len(_COLOURS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "marker": _MARKERS[number % len(_MARKERS)],
    }


def _unit(axis: str, runs: Iterable[Sequence[Line]]) -> tuple[str, float]:
    """What the x axis counts, and how much of the lines' numbers is one."""
    if axis != "time":
        return axis, 1.0
    longest = max((line.get("elapsed", 0.0) for run in runs for line in run), default=0.0)
    if longest < 3 * 60:
        return "seconds of training", 1.0
    return ("minutes of training", 60.0) if longest < 3 * 3600 else ("hours of training", 3600.0)


def _draw(axes: Axes, panel: _Panel, curve: Curve, per_unit: float, look: _Look) -> None:
    """One run in one panel; a single point is a mark, since a line would not be seen."""
    x, y = curve.x / per_unit, curve.y
    line = {**look, "marker": look["marker"] if panel.points or len(x) == 1 else "", "ms": 4}
    if panel.noisy and reach(len(y)):
        axes.plot(x, y, color=look["color"], linewidth=0.8, alpha=0.3)
        y = smoothed(y)
    axes.plot(x, y, linewidth=1.6, **line)


def _furnish(axes: Axes, panel: _Panel, unit: str) -> None:
    axes.set_title(panel.title, fontsize=11)
    axes.set_xlabel(unit, fontsize=10)
    axes.tick_params(labelsize=9)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if unit in ("steps", "tokens"):
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if panel.formatter is not None:
        axes.yaxis.set_major_formatter(panel.formatter)
        axes.set_ylim(bottom=0, top=1.05 * axes.get_ylim()[1])


def _legend(figure: Figure, looks: Mapping[str, _Look], skipped: bool) -> None:
    """Above the panels, in as many columns as the names leave room for."""
    handles = [Line2D([], [], label=plain(name), **look, ms=4) for name, look in looks.items()]
    if skipped:
        label = "skipped steps"
        handles.append(Line2D([], [], label=label, color="black", marker="x", linestyle=""))
    columns = max(1, 100 // (10 + max(map(len, looks))))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=min(columns, len(handles)),
        frameon=False, fontsize=10, handlelength=4,
    )  # fmt: skip
