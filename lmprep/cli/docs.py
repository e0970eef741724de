"""`lmprep docs`: the documentation that ships with lmprep."""

from __future__ import annotations

from pathlib import Path

import click

from lmprep.cli.console import show_table
from lmprep.settings import refuse_unknown

_FOLDER = Path(__file__).parents[1] / "docs"


@click.command(
    epilog="\b\nExamples:\n  lmprep docs\n  lmprep docs objectives | less",
)
@click.argument("page", required=False)
def docs(page: str | None) -> None:
    """Print a PAGE of the documentation (Markdown), or list the pages."""
    pages = {path.stem: path for path in sorted(_FOLDER.glob("*.md"))}
    if page is None:
        show_table(
            "docs", ("page", "about"), [(name, _title(path)) for name, path in pages.items()]
        )
        return
    try:
        refuse_unknown("page", [page], tuple(pages))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'PAGE'") from None
    click.echo(pages[page].read_text(encoding="utf-8"), nl=False)


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next(lines).removeprefix("# ").strip()
