"""`lmprep merge`: several datasets -> one."""

from __future__ import annotations

from pathlib import Path

import click

from lmprep.cli.console import progress, say, show_json


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep merge books news -o all\n"
    "  lmprep merge books-valid news-valid -o all-valid",
)
@click.argument(
    "datasets", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="OUT..."
)
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="The new dataset folder."
)
@click.option("--force", is_flag=True, help="Remove an earlier dataset in its place.")
@click.option("--json", "as_json", is_flag=True, help="Result as JSON on stdout.")
def merge(datasets: tuple[Path, ...], out: Path, force: bool, as_json: bool) -> None:
    """Join datasets of equal settings (folders of lmprep build) to one.

    The rows stay as they are, in the order of the datasets; documents are numbered on.
    """
    from lmprep.merge import merge as join

    if len(datasets) < 2:
        raise click.UsageError("Give at least two datasets.")
    total = sum(path.stat().st_size for one in datasets for path in one.glob("data-*.arrow"))
    with progress("merge", total) as advance:
        merged = join(datasets, out, force=force, on_bytes=advance)
    if as_json:
        show_json({"shards": len(merged["shards"]), "drops": merged["drops"], **merged["totals"]})
        return
    totals = merged["totals"]
    say(
        f"{out}: {totals['rows']} examples of {merged['documents']} documents, "
        f"{len(merged['shards'])} shards, {totals['bytes'] / 1e6:.1f} MB"
    )
