"""The curves of several runs in one picture: losses, learning rate and pace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, Formatter, FuncFormatter, PercentFormatter

from lmprep.report.curve_panels import CurvePanel, axis_unit, curve_panels
from lmprep.report.curves import Curve, Line, reach, skips, smoothed
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


_FORMATTERS: dict[str, Formatter] = {
    "number": FuncFormatter(lambda value, _: f"{value:g}"),
    "count": EngFormatter(sep=""),
    "share": PercentFormatter(1.0, decimals=0),
}


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
    panels = curve_panels(list(runs.values()), axis)
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(_PANEL[0] * _COLUMNS, _PANEL[1] * rows + 0.6), layout="constrained")
    looks = {name: _look(number) for number, name in enumerate(runs)}
    unit, per_unit = axis_unit(axis, runs.values())
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


def _look(number: int) -> _Look:
    """Of run `number`."""
    return {
        "color": _COLOURS[(number + 1) % len(_COLOURS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "marker": _MARKERS[number % len(_MARKERS)],
    }


def _draw(axes: Axes, panel: CurvePanel, curve: Curve, per_unit: float, look: _Look) -> None:
    """One run in one panel; a single point is a mark, since a line would not be seen."""
    x, y = curve.x / per_unit, curve.y
    line = {**look, "marker": look["marker"] if panel.points or len(x) == 1 else "", "ms": 4}
    if panel.noisy and reach(len(y)):
        axes.plot(x, y, color=look["color"], linewidth=0.8, alpha=0.3)
        y = smoothed(y)
    axes.plot(x, y, linewidth=1.6, **line)


def _furnish(axes: Axes, panel: CurvePanel, unit: str) -> None:
    axes.set_title(panel.title, fontsize=11)
    axes.set_xlabel(unit, fontsize=10)
    axes.tick_params(labelsize=9)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if unit in ("steps", "tokens"):
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if panel.unit:
        axes.yaxis.set_major_formatter(_FORMATTERS[panel.unit])
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
