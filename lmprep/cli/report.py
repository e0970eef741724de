"""`lmprep report`: datasets, runs and vocabularies as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from lmprep.cli.console import say
from lmprep.errors import UsageError


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep report shards -o shards.html\n"
    "  lmprep report runs/a runs/b -o runs.html\n"
    "  lmprep report runs/bert-tiny -o everything.html\n"
    "  lmprep report tok -o tok.html --text chapter.txt"
)
@click.argument(
    "subjects", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="OUT|RUN..."
)
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A .html file; one that is there is replaced.",
)
@click.option(
    "--text",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Vocabularies: show how the first 20 lines of this text are cut, instead of a few "
    "sentences of ours.",
)
def report(subjects: tuple[Path, ...], out: Path, text: Path | None) -> None:
    """Make one HTML page of datasets, runs and vocabularies.

    OUT is a folder of lmprep build, vocab or run, RUN one of lmprep pretrain; what evaluate --json
    printed into a .json file can be given too. The page needs no network. Of a large dataset it
    shows a sample of the rows.
    """
    from lmprep.report.report import write_report

    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError("the page is HTML", path=out, fix="Choose a name that ends in .html")
    if not out.parent.is_dir():
        raise UsageError("its folder does not exist", path=out, fix="Make it first")
    failed = write_report(subjects, out, _lines(text) if text else ())
    for name, count in failed.items():
        checks = "1 check" if count == 1 else f"{count} checks"
        say(f"Warning: {name}: {checks} failed; see `lmprep verify`.")
    say(f"Written: {out}")


def _lines(text: Path) -> list[str]:
    """The first lines that are not empty."""
    with text.open(encoding="utf-8", errors="replace") as lines:
        found = (line.strip() for line in lines)
        return [line for line, _ in zip((f for f in found if f), range(20), strict=False)]
