"""`lmprep evaluate`: how well a run predicts a held-out dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from lmprep.cli.console import show_json, show_table
from lmprep.settings import DEVICES, PRECISIONS


class _Checkpoint(click.ParamType[Any]):
    """The step of a checkpoint, or `all`."""

    name = "step"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "all" or isinstance(value, int):
            return value
        if not value.isdecimal():
            self.fail(f"{value!r} is neither a step nor 'all'", param, ctx)
        return int(value)


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep evaluate run shards-valid\n"
    "  lmprep evaluate run shards-valid --checkpoint all --json"
)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument(
    "datasets", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="OUT..."
)
@click.option(
    "--checkpoint", type=_Checkpoint(), help="Step of a checkpoint, or all.  [default: the newest]"
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    show_default=True,
    help="Of matrix products.",
)
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="auto",
    show_default=True,
    help="Where to compute.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Figures as JSON on stdout: a list, one entry for each table.",
)
def evaluate(
    run: Path,
    datasets: tuple[Path, ...],
    checkpoint: int | str | None,
    precision: str,
    device: str,
    as_json: bool,
) -> None:
    """Score the model of RUN on the held-out datasets OUT....

    Beside its figures stand those of guessing by token frequency on the same tokens. Tokens that a
    denoising model need only copy, and sentinels, starts and ends, are counted by themselves.
    """
    from lmprep.evaluation import evaluate as measure
    from lmprep.training import checkpoints

    chosen: Sequence[int | None] = [None]
    if checkpoint == "all":
        chosen = checkpoints.steps(run) or chosen
    elif isinstance(checkpoint, int):
        chosen = [checkpoint]
    figures = [
        measure(run, dataset, step=step, precision=precision, device=device)
        for dataset in datasets
        for step in chosen
    ]
    if as_json:
        show_json(figures)
        return
    for one in figures:
        show_figures(one, f"{one['dataset']}: step {one['step']} of {one['run']}")


def show_figures(figures: Mapping[str, Any], title: str) -> None:
    """A table of one evaluation."""
    header = ("", "cross-entropy (nats)", "perplexity", "accuracy", "over")
    names = {
        "corrupted": _CORRUPTED.get(figures["objective"], "corrupted tokens"),
        "unigram": "by frequency alone",
        "copied": "copied tokens",
        "marks": "sentinels, starts and ends",
        "boundary": "from span boundaries alone",
    }
    table = [(label, *_cells(figures[name])) for name, label in names.items() if name in figures]
    if pairs := figures.get("pairs"):
        accuracy, rows = f"{pairs['accuracy']:.2%}", f"{pairs['rows']} rows"
        table.append(("sentence pairs", f"{pairs['cross_entropy']:.4f}", "", accuracy, rows))
        table.append(("always the same label", "", "", f"{pairs['majority']:.2%}", rows))
    show_table(title, header, table)


# What the tokens that count are called where nothing is corrupted, or masked.
_CORRUPTED = {
    "clm": "next tokens",
    **dict.fromkeys(("mlm", "whole-word", "ngram", "span"), "masked tokens"),
}


def _cells(metrics: Mapping[str, float]) -> tuple[str, str, str, str]:
    return (
        f"{metrics['cross_entropy']:.4f}",
        f"{metrics['perplexity']:.2f}",
        f"{metrics['accuracy']:.2%}",
        f"{metrics['tokens']} tokens",
    )
