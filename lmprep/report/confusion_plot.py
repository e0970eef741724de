"""A confusion matrix as a picture: which labels are taken for which."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lmprep.report.pictures import plain, save_picture

_CELL = 0.45  # inches
_MOST_NUMBERS = 25  # labels, beyond which cells have no room for numbers
_DARK = 0.5


def draw_confusion(confusion: Mapping[str, Any], path: Path) -> None:
    """Draw counts of given labels (columns) for right ones (rows).

    Shades are shares of a row, numbers counts.

    Args:
        confusion: `part`, `labels` and `counts`, as in results.json of a fine-tuning.
        path: a .png or .svg file.
    """
    labels, counts = confusion["labels"], confusion["counts"]
    side = max(3.0, _CELL * len(labels) + 1.5)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(labels))
    axes.set_xticks(ticks, [plain(label) for label in labels], rotation=90)
    axes.set_yticks(ticks, [plain(label) for label in labels])
    axes.set_xlabel("given")
    axes.set_ylabel("right")
    axes.set_title(f"{plain(confusion['part'])}: shares of the right label, and counts")
    if len(labels) <= _MOST_NUMBERS:
        for row, column in ((i, j) for i in ticks for j in ticks if counts[i][j]):
            colour = "white" if shares[row][column] > _DARK else "black"
            axes.text(column, row, str(counts[row][column]), ha="center", va="center", color=colour)
    save_picture(figure, path)
