"""Results by the number of examples in the prompt, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lmprep.report.pictures import COLOURS, plain, save_picture


def draw_shots(results: Mapping[str, Any], path: Path, title: str) -> None:
    """Draw accuracy by shots, its spread over seeds as a band, and the majority's as a line.

    Args:
        results: of `prompting.prompt.prompt`.
        path: a .png or .svg file.
        title: of the picture.
    """
    shots = sorted((int(count), found["accuracy"]) for count, found in results["shots"].items())
    places = [count for count, _ in shots]
    means = [accuracy["mean"] for _, accuracy in shots]
    spreads = [accuracy["sd"] or 0.0 for _, accuracy in shots]
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    low, high = ([m + side * s for m, s in zip(means, spreads, strict=True)] for side in (-1, 1))
    axes.fill_between(places, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.plot(places, means, marker="o", color=COLOURS[0], label="prompted")
    majority = results["majority"]["accuracy"]
    axes.axhline(majority, color="#000000", linestyle=":", label="always the commonest label")
    axes.set_xticks(places)
    axes.set_xlabel("examples in the prompt")
    axes.set_ylabel("accuracy")
    axes.set_title(plain(title))
    axes.legend()
    save_picture(figure, path)
