"""`lmprep convert`: a dataset -> Parquet files, or a folder of `datasets`."""

from __future__ import annotations

from pathlib import Path

import click

from lmprep.cli.console import progress, say


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep convert shards --to parquet -o for-the-hub\n"
    "  lmprep convert shards --to hf -o saved --copy 0",
)
@click.argument("dataset", type=click.Path(path_type=Path), metavar="OUT")
@click.option(
    "--to",
    required=True,
    type=click.Choice(("parquet", "hf")),
    help="parquet: data/train-*.parquet, as the hub has them; hf: what datasets' save_to_disk "
    "writes.",
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="New folder.")
@click.option("--copy", type=int, help="Only this stored copy, from 0.  [default: all]")
def convert(dataset: Path, to: str, out: Path, copy: int | None) -> None:
    """Write a dataset (a folder of lmprep build) in the form of other programs.

    Columns, types and the order of rows stay. A folder of lmprep build is itself one that
    datasets.load_from_disk opens.
    """
    from lmprep.convert import convert as write

    total = sum(path.stat().st_size for path in dataset.glob("data-*.arrow"))
    with progress("convert", total if copy is None else None) as advance:
        rows = write(dataset, out, to, copy=copy, on_bytes=advance)
    say(f"{out}: {rows} rows")
