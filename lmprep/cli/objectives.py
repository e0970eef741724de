"""The objectives as flags: read off their settings records, the same for `build` and `try`.

Each objective is a command of its own, so that its help shows what it takes and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from fractions import Fraction
from typing import Any

import click

from lmprep.cli.options import NUMBER, RATE, with_options
from lmprep.objective_settings import FORMS, BartSettings, Form, T5Settings
from lmprep.settings import PAIRS_SHORT, refuse_unknown

Decorator = Callable[[Any], Any]

_TYPES: dict[str, Any] = {"Fraction": RATE, "Number": NUMBER, "int": int, "str": str}


class ObjectiveGroup(click.Group):
    """A command whose subcommands are the objectives."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subcommand_metavar = "OBJECTIVE ..."

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not args[0].startswith("-"):
            try:
                refuse_unknown("objective", args[:1], tuple(self.commands))
            except ValueError as error:
                raise click.UsageError(str(error), ctx) from None
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table, not of the alphabet."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Objectives"):
            formatter.write_dl([(name, FORMS[name].title) for name in self.commands])


def add_objectives(
    group: click.Group, make: Callable[[str], click.Command], objectives: tuple[str, ...]
) -> None:
    """Add a command for each objective.

    A flag's value may come from the environment: from LMPREP_GROUP_OBJECTIVE_FLAG, else from
    LMPREP_GROUP_FLAG, which holds for every objective.
    """
    for objective in objectives:
        command = make(objective)
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name:
                parameter.envvar = [
                    "_".join(("LMPREP", *words, parameter.name)).upper().replace("-", "_")
                    for words in ((group.name or "", objective), (group.name or "",))
                ]
        group.add_command(command, objective)


def objective_options(objective: str) -> Decorator:
    """The flags of an objective's own settings, then those of its sequences."""
    form = FORMS[objective]
    own = [_flag(f) for f in fields(form.settings)]  # type: ignore[arg-type]
    return with_options(*own, *_sequence_flags(form))


def _flag(field: Field[Any]) -> Decorator:
    """One setting as a flag; an absent flag leaves the setting's default."""
    name, text = "--" + field.name.replace("_", "-"), str(field.metadata["about"])
    annotation = str(field.type).split(" | ")[0]
    if annotation == "bool":
        return click.option(name, is_flag=True, default=None, help=text)
    choices = field.metadata["choices"]
    if "[default:" not in text:
        text += f"  [default: {_shown(field.default)}]"
    kind = click.Choice(choices) if choices else _TYPES[annotation]
    return click.option(name, type=kind, help=text)


def _shown(value: Any) -> str:
    return f"{float(value):g}" if isinstance(value, Fraction) else str(value)


def _sequence_flags(form: Form) -> list[Decorator]:
    """Length, kind of sequences, and pairs, as far as there is something to choose."""
    length = click.option(
        "--length",
        type=int,
        help=f"Tokens in a sequence at most, special ones too.  [default: {form.length}]",
    )
    by_noise = "; document for prefix-lm and deshuffle" if form.settings is T5Settings else ""
    sequences = _choice(
        "--sequences",
        form.sequences,
        "Windows of one document (document), or of the text as one stream (packed).",
        by_noise,
    )
    pairs = _choice("--pairs", form.pairs, "Sentence pairs and their task.", "")
    short = click.option(
        "--short-sequence-probability",
        type=RATE,
        help=f"Share that aims at a shorter length.  [default: {_default_short(form)}]",
    )
    # Rows of exactly the length, which the other families' objectives make, are never short.
    takes_short = set(form.families) <= {"bert", "roberta"} and form.settings is not BartSettings
    return [length, sequences, pairs] + ([short] if takes_short else [])


def _choice(name: str, values: tuple[str, ...], text: str, more: str) -> Decorator:
    """A flag with these values, not shown where there is only one, but told apart from typos."""
    text += f"  [default: {values[0]}{more}]"
    return click.option(name, type=click.Choice(values), hidden=len(values) == 1, help=text)


def _default_short(form: Form) -> str:
    plain = _shown(form.short)
    return f"{_shown(PAIRS_SHORT)} for pairs, else {plain}" if len(form.pairs) > 1 else plain
