"""`lmprep plot`: the curves of several runs in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lmprep.cli.console import say
from lmprep.cli.options import PICTURE
from lmprep.errors import UsageError

_AXES = ("steps", "tokens", "time")


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep plot run -o run.png\n"
    "  lmprep plot runs/* -o curves.svg --x tokens",
)
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "-o",
    "--out",
    "picture",
    required=True,
    type=PICTURE,
    metavar="FILE",
    help="A .png or .svg file; one that is there is replaced.",
)
@click.option(
    "--x",
    "axis",
    type=click.Choice(_AXES),
    default="steps",
    show_default=True,
    help="What the curves are drawn over; time is that of training.",
)
def plot(runs: tuple[Path, ...], picture: Path, axis: str) -> None:
    """Draw the losses, the learning rate and the pace of the runs RUN... over each other.

    A run may still be at work. Losses of training are drawn as logged (faint) and smoothed.
    """
    from lmprep.report.curves import run_names
    from lmprep.report.curves_plot import plot_curves

    _refuse_twice(runs)
    named = dict(zip(run_names(runs), map(_metrics, runs), strict=True))
    plot_curves(named, picture, axis)
    say(f"Drawn: {picture}")


def _refuse_twice(runs: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for run in runs:
        if run.resolve() in seen:
            raise UsageError("the run is given twice", path=run, fix="Name every run once")
        seen.add(run.resolve())


def _metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics, one of training at least."""
    from lmprep.training.metrics import METRICS, read_metrics

    if not (run / METRICS).is_file():
        what = "this is not a run folder" if run.is_dir() else "there is no such run folder"
        fix = f"Give the RUN folder of `lmprep pretrain`; it holds a {METRICS}"
        raise UsageError(what, path=run, fix=fix)
    lines = read_metrics(run)
    if all("validation" in line for line in lines):
        raise UsageError(
            "no metrics are written yet", path=run, fix="Wait for its first steps, or leave it out"
        )
    return lines
