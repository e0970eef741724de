"""Types and options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import click

from lmprep.errors import UsageError
from lmprep.settings import (
    DOCUMENTS,
    FAMILIES,
    FORMATS,
    SENTENCES,
    parse_duration,
    parse_number,
    parse_rate,
    parse_size,
)

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")


class Written(click.ParamType[Any]):
    """A value in one of the notations of `lmprep.settings`."""

    def __init__(self, name: str, parse: Callable[[object], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


RATE: click.ParamType[Fraction] = Written("rate", parse_rate)
NUMBER: click.ParamType[Fraction] = Written("number", parse_number)
SIZE: click.ParamType[int] = Written("size", parse_size)
DURATION: click.ParamType[float] = Written("duration", parse_duration)


class _Picture(click.ParamType[Path]):
    """A file that can be drawn into."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        if path.suffix.lower() not in PICTURES:
            self.fail(f"{path} is neither {' nor '.join(PICTURES)}", param, ctx)
        if path.is_dir():
            self.fail(f"{path} is a folder", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"the folder {path.parent} does not exist", param, ctx)
        return path


PICTURES = (".png", ".svg")
PICTURE = _Picture()


def default_workers() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """One decorator for several options, shown in the given order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


reading_options: Callable[[Command], Command] = with_options(
    click.option(
        "--format",
        type=click.Choice(FORMATS),
        help="Format of the corpus; by default told by the suffix.",
    ),
    click.option(
        "--documents",
        type=click.Choice(DOCUMENTS),
        help="Text files: documents are parted by empty lines (blank, the default), "
        "or are one a line, or one a file.",
    ),
    click.option(
        "--sentences",
        type=click.Choice(SENTENCES),
        help="One sentence a line (default for text files), found by ICU (default for "
        "records), or none.",
    ),
    click.option(
        "--language",
        help="Language whose rules ICU follows, such as en or pt-BR.  [default: en]",
    ),
    click.option("--text-field", help="Field of a record that holds the text.  [default: text]"),
)
"""How to read a corpus."""

corpus_options: Callable[[Command], Command] = with_options(
    click.argument("corpus", nargs=-1, required=True), reading_options
)
"""CORPUS and how to read it."""


def family_option(help_text: str) -> Callable[[Command], Command]:
    """--family, which vocab and build take."""
    return click.option("--family", type=click.Choice(FAMILIES), help=help_text)


def given(options: Mapping[str, Any], *without: str) -> dict[str, Any]:
    """The options that were given a value, but for some."""
    return {k: v for k, v in options.items() if v is not None and k not in without}


def settled(make: Callable[[], Result]) -> Result:
    """Call `make`; a ValueError from settings becomes a usage error."""
    try:
        return make()
    except ValueError as error:
        raise UsageError(str(error), fix="See --help") from None
