"""`lmprep stats`: the figures of a dataset, as a table, as JSON, as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from lmprep.cli.console import say, show_json, show_table
from lmprep.cli.options import DATASET, PICTURE


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep stats shards\n"
    "  lmprep stats shards --json | jq .masking.rate\n"
    "  lmprep stats shards --plot shards.svg"
)
@click.argument("out", type=DATASET)
@click.option(
    "--plot",
    type=PICTURE,
    metavar="FILE",
    help="Draw them too, as a .png or .svg file.",
)
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON on stdout.")
def stats(out: Path, plot: Path | None, as_json: bool) -> None:
    """Count rows, tokens, masks, pairs and drops of a dataset.

    OUT is a folder of lmprep build.
    """
    from lmprep.checks.stats import dataset_stats
    from lmprep.report.dataset_facts import dataset_facts

    if plot is not None:
        import matplotlib  # noqa: F401  # missing: said before any counting
    report = dataset_stats(out)
    if plot is not None:
        from lmprep.report.dataset_plot import plot_stats

        plot_stats(report, plot, title=str(out))
        say(f"Drawn: {plot}")
    if as_json:
        show_json(report)
    else:
        show_table(f"stats {out}", ("what", "value"), dataset_facts(report, bars=True))
