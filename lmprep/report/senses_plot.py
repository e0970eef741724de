"""Uses of a word in a plane, as a picture: do its senses part?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lmprep.report.pictures import COLOURS, plain, save_picture

_MARKERS = "osD^vPX"
_MOST_TEXTS = 30  # uses, beyond which their texts would cover one another


def draw_senses(uses: Mapping[str, Any], word: str, path: Path) -> None:
    """Draw each use where its vector lies, its sense by colour and mark.

    Args:
        uses: of `probing.senses.sense_map`.
        path: a .png or .svg file.
    """
    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    axes = figure.subplots()
    for number, sense in enumerate(sorted(set(uses["sense"]))):
        chosen = [i for i, each in enumerate(uses["sense"]) if each == sense]
        axes.scatter(
            [uses["x"][i] for i in chosen],
            [uses["y"][i] for i in chosen],
            color=COLOURS[number % len(COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            label=f"{plain(sense)} ({len(chosen)})",
        )
    if len(uses["text"]) <= _MOST_TEXTS:
        for x, y, text in zip(uses["x"], uses["y"], uses["text"], strict=True):
            side = 1 if x < (min(uses["x"]) + max(uses["x"])) / 2 else -1  # towards the middle
            axes.annotate(
                plain(text),
                (x, y),
                xytext=(5 * side, 4),
                ha="left" if side > 0 else "right",
                textcoords="offset points",
                fontsize=6,
            )
    axes.margins(x=0.1, y=0.15)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("first principal component")
    axes.set_ylabel("second")
    axes.set_title(f"uses of {plain(word)}")
    axes.legend(title="sense", fontsize=7, loc="best")
    save_picture(figure, path)
