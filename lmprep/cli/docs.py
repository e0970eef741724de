"""`lmprep docs`: the documentation that ships with lmprep."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from lmprep.cli.console import show_table
from lmprep.cli.options import completing
from lmprep.settings import refuse_unknown

_FOLDER = Path(__file__).parents[1] / "docs"
_INDEX = "index"
_ENTRY = re.compile(r"- \[([a-z-]+)\]\([a-z-]+\.md\): (.*)")


@click.command(
    epilog="\b\nExamples:\n  lmprep docs\n  lmprep docs objectives | less",
)
@click.argument("page", required=False, shell_complete=completing("docs", ".md"))
def docs(page: str | None) -> None:
    """Print a PAGE of the documentation (Markdown), or list the pages."""
    if page is None:
        show_table("docs", ("", "page", "about"), list(_listed()))
        return
    pages = {path.stem: path for path in sorted(_FOLDER.glob("*.md"))}
    try:
        refuse_unknown("page", [page], tuple(pages))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'PAGE'") from None
    click.echo(pages[page].read_text(encoding="utf-8"), nl=False)


def _listed() -> Iterator[tuple[str, str, str]]:
    """Group (with its first page only), page and what it is about, as the index has them."""
    group = ""
    for line in (_FOLDER / f"{_INDEX}.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ")
        elif entry := _ENTRY.fullmatch(line):
            yield group, entry[1], entry[2]
            group = ""
