"""`lmprep verify`: does a dataset hold what its settings promise?"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from lmprep.cli.console import show_json, show_table


@click.command(epilog="\b\nExamples:\n  lmprep verify shards\n  lmprep verify shards --json")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Result as JSON on stdout.")
def verify(out: Path, as_json: bool) -> None:
    """Check a dataset folder: files, hashes, counts, and the laws of its objective.

    Exits with 1 when a check fails.
    """
    from lmprep.checks.verify import verify as run_checks

    checks = run_checks(out)
    if as_json:
        show_json([asdict(check) for check in checks])
    else:
        rows = [
            ("ok" if c.passed else "FAILED", c.name, c.expected, c.found, c.tolerance, c.detail)
            for c in checks
        ]
        header = ("", "check", "expected", "found", "tolerance", "detail")
        show_table(f"verify {out}", header, rows)
    if not all(check.passed for check in checks):
        sys.exit(1)
