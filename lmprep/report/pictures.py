"""What all pictures share: their colours, and how they get into a file."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure  # draws into files; needs no display

from lmprep.files import atomic_file

COLOURS = ("#4477aa", "#ccbb44", "#228833", "#aa3377", "#66ccee", "#ee6677", "#bbbbbb")
"""Paul Tol's bright scheme: distinct for the colour-blind, too."""

_RESOLUTION = 150  # dots an inch


def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all; the same figure gives the same bytes.

    Args:
        path: a file with the suffix .png or .svg.
    """
    kind = path.suffix.lower().lstrip(".")
    undated = {"Date": None} if kind == "svg" else None
    with matplotlib.rc_context({"svg.hashsalt": "lmprep"}), atomic_file(path) as file:
        figure.savefig(file, format=kind, dpi=_RESOLUTION, metadata=undated)


def plain(name: str) -> str:
    """A name as it is: between dollar signs would stand a formula."""
    return name.replace("$", r"\$")
