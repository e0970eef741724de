"""The figures of a dataset as one picture: a panel for each thing that was counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lmprep.report.dataset_panels import (
    Histogram,
    NamedCounts,
    Panel,
    Shares,
    dataset_panels,
)
from lmprep.report.pictures import COLOURS, plain, save_picture

_PANEL = (4.2, 3.2)  # inches
_COLUMNS = 3

Draw = Callable[[Axes], None]


def plot_stats(report: Mapping[str, Any], path: Path, title: str) -> None:
    """Draw the figures of `checks.stats.dataset_stats`.

    Args:
        report: the figures.
        path: a file with the suffix .png or .svg.
        title: above the picture.
    """
    panels = dataset_panels(report)
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * rows), layout="constrained")
    heading = f"{title}: {report['objective']}, {report['rows']:,} rows"
    figure.suptitle(plain(heading), fontsize=11)
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, place + 1)
        axes.set_title(panel.title, fontsize=10)
        axes.tick_params(labelsize=8)
        _drawing(panel)(axes)
    save_picture(figure, path)


def _drawing(panel: Panel) -> Draw:
    match panel:
        case Histogram():
            return _histogram(panel)
        case Shares():
            return _bars(panel)
        case NamedCounts():
            return _sideways(panel)


def _histogram(panel: Histogram) -> Draw:
    """Values on the x axis, in bins of equal width where there are many."""

    def draw(axes: Axes) -> None:
        bins = panel.bins()
        lefts = [first - 0.5 for first, _, _ in bins]
        width = bins[0][1] - bins[0][0] + 1
        counts = [count for _, _, count in bins]
        axes.bar(lefts, counts, width=width, align="edge", color=COLOURS[0])
        axes.set_ylabel("count", fontsize=8)

    return draw


def _bars(panel: Shares) -> Draw:
    """Shares as bars, with their values where those are few, and a line where each was to be."""

    def draw(axes: Axes) -> None:
        names, shares = list(panel.shares), list(panel.shares.values())
        if few := len(names) <= len(COLOURS):
            bars = axes.bar(names, shares, color=COLOURS)
            values = [f"{share:.1%}" for share in shares]
            inside = bool(panel.wanted)
            axes.bar_label(bars, values, fontsize=8, label_type="center" if inside else "edge")
        else:
            axes.bar(names, shares, color=COLOURS[0])
        axes.tick_params(axis="x", rotation=0 if few else 90)
        for place, share in enumerate(panel.wanted):
            axes.hlines(share, place - 0.4, place + 0.4, color="black", linewidth=1)
        axes.set_ylim(0, 1.15 * panel.top)
        axes.set_ylabel("share", fontsize=8)

    return draw


def _sideways(panel: NamedCounts) -> Draw:
    """Counts by name, each written on its bar, since names are long."""

    def draw(axes: Axes) -> None:
        counts = panel.counts
        axes.barh(range(len(counts)), list(counts.values()), color=COLOURS[6])
        for place, (name, count) in enumerate(counts.items()):
            text = f" {name}: {count:,}"
            axes.text(0, place, text, fontsize=8, verticalalignment="center")
        axes.set_yticks([])
        axes.set_xlabel("count", fontsize=8)
        axes.invert_yaxis()

    return draw
