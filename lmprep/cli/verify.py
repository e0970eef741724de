"""`lmprep verify`: does a dataset hold what its settings promise?"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from lmprep.cli.console import show_json, show_table
from lmprep.cli.options import DATASET

_EXAMPLES = """\b
Examples:
  lmprep verify shards
  lmprep verify shards --json
  lmprep verify shards --source corpus/*.txt
  lmprep verify shards-valid --source corpus/*.txt"""


@click.command(epilog=_EXAMPLES)
@click.argument("out", type=DATASET)
@click.option(
    "--source",
    multiple=True,
    metavar="CORPUS...",
    help="Read the corpus again, too: is every token of it in a row, or dropped and counted?",
)
@click.option("--json", "as_json", is_flag=True, help="Result as JSON on stdout.")
@click.argument("more", nargs=-1, metavar="")
def verify(out: Path, source: tuple[str, ...], as_json: bool, more: tuple[str, ...]) -> None:
    """Check a dataset folder: files, hashes, counts, and the laws of its objective.

    Exits with 1 when a check fails.
    """
    from lmprep.checks.verify import verify as run_checks
    from lmprep.report.tables import CHECKS, check_rows

    if more and not source:
        raise click.UsageError(f"Got unexpected extra argument ({more[0]})")
    checks = run_checks(out, (*source, *more))
    if as_json:
        show_json([asdict(check) for check in checks])
    else:
        show_table(f"verify {out}", CHECKS, check_rows(checks))
    if not all(check.passed for check in checks):
        sys.exit(1)
