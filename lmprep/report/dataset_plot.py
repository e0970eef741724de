"""The figures of a dataset as one picture: a panel for each thing that was counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    panels = _panels(report)
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * rows), layout="constrained")
    heading = f"{title}: {report['objective']}, {report['rows']:,} rows"
    figure.suptitle(plain(heading), fontsize=11)
    for place, (name, draw) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, place + 1)
        axes.set_title(name, fontsize=10)
        axes.tick_params(labelsize=8)
        draw(axes)
    save_picture(figure, path)


def _panels(report: Mapping[str, Any]) -> dict[str, Draw]:
    """What there is to draw, by title."""
    panels: dict[str, Draw] = {}
    if report["lengths"]:
        padding = f"{report['padding_share']:.1%} padding at {report['length']}"
        panels[f"tokens in a row ({padding})"] = _histogram(report["lengths"]["histogram"])
    if targets := report.get("target_lengths"):
        panels["tokens in the targets"] = _histogram(targets["histogram"])
    if spans := report.get("spans"):
        panels[f"tokens in a span (mean {spans['mean']:.2f})"] = _histogram(spans["histogram"])
    if masking := report.get("masking"):
        names = ("masked", "random", "kept")
        title = f"masked tokens ({masking['rate']:.2%} of all)"
        panels[title] = _bars(names, [masking[name] for name in names])
    for name, shares in report.get("labels", {}).items():
        panels[name] = _bars([str(value) for value in shares], list(shares.values()))
    if denoisers := report.get("denoisers"):
        wanted = [one["wanted"] for one in denoisers]
        numbers = [str(number) for number in range(len(denoisers))]
        shares = [one["share"] for one in denoisers]
        panels["rows by denoiser (line: wanted)"] = _bars(numbers, shares, wanted)
    if sentinels := report.get("sentinels"):
        title = f"sentinels in a row (of {sentinels['available']})"
        panels[title] = _histogram(sentinels["histogram"])
    if weights := report.get("weights"):
        lows = [f"{low:g}" for low in weights["histogram"]]
        counts = list(weights["histogram"].values())
        panels["pairs by weight, from"] = _bars(lows, [c / report["rows"] for c in counts])
    if drops := report["drops"]:
        panels["dropped"] = _sideways(drops)
    return panels


def _histogram(counts: Mapping[int, int], bins: int = 40) -> Draw:
    """Values on the x axis, in bins of equal width where there are many."""

    def draw(axes: Axes) -> None:
        values, weights = list(counts), list(counts.values())
        low, high = min(values), max(values) + 1
        width = max(1, -(-(high - low) // bins))
        edges = [edge - 0.5 for edge in range(low, high + width, width)]
        axes.hist(values, bins=edges, weights=weights, color=COLOURS[0])
        axes.set_ylabel("count", fontsize=8)

    return draw


def _bars(names: Sequence[str], shares: Sequence[float], wanted: Sequence[float] = ()) -> Draw:
    """Shares as bars, with their values where those are few, and a line where each was to be."""

    def draw(axes: Axes) -> None:
        if few := len(names) <= len(COLOURS):
            bars = axes.bar(names, shares, color=COLOURS)
            values = [f"{share:.1%}" for share in shares]
            axes.bar_label(bars, values, fontsize=8, label_type="center" if wanted else "edge")
        else:
            axes.bar(names, shares, color=COLOURS[0])
        axes.tick_params(axis="x", rotation=0 if few else 90)
        for place, share in enumerate(wanted):
            axes.hlines(share, place - 0.4, place + 0.4, color="black", linewidth=1)
        axes.set_ylim(0, 1.15 * max(*shares, *wanted, 0.01))
        axes.set_ylabel("share", fontsize=8)

    return draw


def _sideways(counts: Mapping[str, int]) -> Draw:
    """Counts by name, each written on its bar, since names are long."""

    def draw(axes: Axes) -> None:
        axes.barh(range(len(counts)), list(counts.values()), color=COLOURS[6])
        for place, (name, count) in enumerate(counts.items()):
            text = f" {name.replace('_', ' ')}: {count:,}"
            axes.text(0, place, text, fontsize=8, verticalalignment="center")
        axes.set_yticks([])
        axes.set_xlabel("count", fontsize=8)
        axes.invert_yaxis()

    return draw
