"""`lmprep doctor`: what this installation is, what is wrong with it, and its kernels compiled."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from lmprep.cli.console import say, show_json


@click.command(
    epilog="\b\nExamples:\n"
    "  lmprep doctor\n"
    "  lmprep doctor --warm     (in a container: compile now, and not at the first run)\n"
    "  lmprep doctor --json | jq .facts.numba",
)
@click.option(
    "--warm",
    is_flag=True,
    help="First run every command on a small text, in a temporary folder, so that all kernels are "
    "compiled and kept; takes a minute or three.",
)
@click.option("--json", "as_json", is_flag=True, help="Result as JSON on stdout.")
def doctor(warm: bool, as_json: bool) -> None:
    """Tell versions, devices and caches of this installation, and what to mend.

    Exits with 1 when something is broken.
    """
    from lmprep.doctor.facts import examine

    if warm:
        _warm_up()
    report = examine()
    if as_json:
        show_json(asdict(report))
    else:
        width = max(map(len, report.facts)) + 2
        for name, value in report.facts.items():
            click.echo(f"{name:{width}}{value}")
    for problem in report.problems:
        kind = "Broken" if problem.broken else "Warning"
        say(f"{kind}: {problem.what}. {problem.fix}.")
    if any(problem.broken for problem in report.problems):
        sys.exit(1)


def _warm_up() -> None:
    import tempfile
    from pathlib import Path

    from lmprep.cli.warming import warm_up

    with tempfile.TemporaryDirectory(prefix="lmprep-warm-") as folder:
        seconds = warm_up(Path(folder), say)
    say(f"{seconds:6.1f} s  in all")
