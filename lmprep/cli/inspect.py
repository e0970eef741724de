"""`lmprep inspect`: stored examples, to look at."""

from __future__ import annotations

from pathlib import Path

import click

from lmprep.cli.console import say
from lmprep.cli.options import DATASET, settled
from lmprep.cli.rows import show_rows


class _Where(click.ParamType[tuple[str, float]]):
    """`column=number`."""

    name = "column=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        name, _, number = str(value).partition("=")
        try:
            return name.strip(), float(number)
        except ValueError:
            self.fail(f"{value!r} is not of the form column=number", param, ctx)


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep inspect shards --rows 5\n"
    "  lmprep inspect shards --where next_sentence_label=1 --copy 3"
)
@click.argument("out", type=DATASET)
@click.option(
    "--rows", type=click.IntRange(1), default=3, show_default=True, help="Rows shown at most."
)
@click.option(
    "--where",
    type=_Where(),
    multiple=True,
    help="Only rows whose column holds this number, such as document=7; may be repeated.",
)
@click.option(
    "--copy",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Which copy; beyond those stored, one corrupted anew.",
)
@click.option("--json", "as_json", is_flag=True, help="Rows as JSON on stdout.")
def inspect(
    out: Path, rows: int, where: tuple[tuple[str, float], ...], copy: int, as_json: bool
) -> None:
    """Show rows of a dataset OUT, and what is hidden in them.

    Each token with its role, what is to be predicted below it, and where the text is from.
    """
    from lmprep.checks.stored import stored_rows

    found = settled(lambda: stored_rows(out, limit=rows, copy=copy, where=dict(where)))
    if not found:
        asked = " and ".join(f"{name}={value:g}" for name, value in where)
        say(f"No row of {out} has {asked}." if where else f"{out} has no rows.")
    if found or as_json:
        show_rows(found, as_json=as_json)
