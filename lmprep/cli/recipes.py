"""`lmprep recipes`: the settings of the papers, ready to run."""

from __future__ import annotations

import click

from lmprep.cli.console import show_json, show_table
from lmprep.cli.options import completing


@click.group(
    invoke_without_command=True,
    epilog="\b\nExamples:\n  lmprep recipes\n  lmprep recipes show bert > my-bert.toml",
)
@click.option("--json", "as_json", is_flag=True, help="The list as JSON on stdout.")
@click.pass_context
def recipes(context: click.Context, as_json: bool) -> None:
    """List the recipes that ship with lmprep.

    Run one with lmprep run NAME --corpus FILE.
    """
    if context.invoked_subcommand is not None:
        return
    from lmprep.shipped import shipped_recipes

    found = shipped_recipes().values()
    if as_json:
        show_json([{"name": r.name, "title": r.title, "source": r.source} for r in found])
    else:
        header = ("name", "what", "source")
        show_table("recipes", header, [(r.name, r.title, r.source) for r in found])


@recipes.command(
    epilog="\b\nExamples:\n  lmprep recipes show t5\n  lmprep recipes show bert > my-bert.toml"
)
@click.argument("name", shell_complete=completing("recipes", ".toml"))
def show(name: str) -> None:
    """Print the recipe NAME: every setting with its source in a comment."""
    from lmprep.shipped import find_recipe

    click.echo(find_recipe(name).read_text(encoding="utf-8"), nl=False)
