"""`lmprep try`: what an objective would do to a text."""

from __future__ import annotations

import sys
from typing import Any

import click

from lmprep.cli.console import say
from lmprep.cli.objectives import ObjectiveGroup, add_objectives, objective_options
from lmprep.cli.options import family_option, given, reading_options, settled, with_options
from lmprep.cli.rows import show_rows
from lmprep.objective_settings import FORMS

_OWN_FLAGS = ("file", "tokenizer", "copy", "rows", "family", "as_json")
# Enough for any text somebody looks at; what a build makes of it is the same up to this size.
_PARTITION = 1_000_000


@click.group(
    "try",
    cls=ObjectiveGroup,
    epilog="\b\nExamples:\n"
    "  echo 'The curious kitten climbed the bookshelf.' | lmprep try span -t tok -\n"
    "  lmprep try t5 -t tok chapter.txt --noise prefix-lm --length 64 --rows 2",
)
def try_() -> None:
    """Show what an OBJECTIVE would do to a text; nothing is written.

    These are the examples that `lmprep build` makes of the same text, in its order.
    """


def _command(objective: str) -> click.Command:
    """`lmprep try OBJECTIVE`."""

    def callback(**options: Any) -> None:
        _try(objective, options)

    callback.__doc__ = f"""Show what {FORMS[objective].title} would do to FILE, or - for stdin."""
    decorate = with_options(
        click.argument("file", default="-"),
        click.option(
            "-t", "--tokenizer", required=True, help="Tokenizer folder or tokenizer.json."
        ),
        objective_options(objective),
        click.option("--seed", type=int, help="Every draw depends on it.  [default: 0]"),
        click.option(
            "--copy",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Which copy: each is corrupted anew.",
        ),
        click.option("--rows", type=click.IntRange(1), help="Rows shown at most.  [default: all]"),
        reading_options,
        family_option("Family of a foreign tokenizer that does not tell it."),
        click.option("--json", "as_json", is_flag=True, help="Rows as JSON on stdout."),
    )
    examples = (
        f"  echo 'Give a text here.' | lmprep try {objective} -t tok -\n"
        f"  lmprep try {objective} -t tok notes.txt --rows 3 --seed 1"
    )
    return click.command(epilog=f"\b\nExamples:\n{examples}")(decorate(callback))


add_objectives(try_, _command, tuple(FORMS))


def _try(objective: str, options: dict[str, Any]) -> None:
    from lmprep.build_settings import BuildSettings
    from lmprep.checks.inspect import Describer
    from lmprep.engines.trial import try_text

    flags = given(options, *_OWN_FLAGS)
    settings = settled(
        lambda: BuildSettings.from_options(
            {"objective": objective, "partition_size": _PARTITION, **flags}
        )
    )
    if options["file"] == "-" and sys.stdin.isatty():
        say("Reading the text from the terminal; Ctrl-D ends it.")
    trial = try_text(
        options["file"],
        options["tokenizer"],
        settings,
        copy=options["copy"],
        family=options["family"],
    )
    shown = min(trial.rows, options["rows"] or trial.rows)
    folder = trial.tokenizer
    describer = Describer(
        objective, settings.objective_settings, folder.vocabulary, folder.tokenizer
    )
    show_rows(describer.rows(trial.columns, range(shown)), as_json=options["as_json"])
    _say_what_is_missing(trial.rows - shown, trial.drops, trial.whole)


def _say_what_is_missing(rows: int, drops: dict[str, int], whole: bool) -> None:
    """On stderr: rows not shown, text dropped, text not looked at."""
    if rows:
        say(f"{rows} more rows.")
    if drops:
        say("Dropped: " + ", ".join(f"{n} {reason}" for reason, n in sorted(drops.items())) + ".")
    if not whole:
        say(f"Only the first {_PARTITION / 1e6:g} MB were looked at.")
