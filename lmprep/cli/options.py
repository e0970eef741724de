"""Types and options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lmprep.errors import UsageError
from lmprep.pretrain_settings import DEVICES, PRECISIONS
from lmprep.settings import (
    DOCUMENTS,
    ENCODING_ERRORS,
    FAMILIES,
    FORMATS,
    ON_ERROR,
    SENTENCES,
    parse_duration,
    parse_number,
    parse_rate,
    parse_size,
)

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

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


class _Folder(click.ParamType[Any]):
    """A folder to write to: a local path, or the URL of a store."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        if "://" not in value:
            return Path(value)
        from lmprep.remote import path_of

        return path_of(value)


class _DatasetFolder(click.ParamType[Path]):
    """A dataset to read: one in a store is brought here first."""

    name = "dataset"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if "://" not in str(value):
            return Path(value)
        from lmprep.shards.cached import local_folder

        return local_folder(value)


class _Task(click.ParamType[tuple[int, int]]):
    """`I/N`."""

    name = "I/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        index, _, number = value.partition("/")
        if not (index.isdecimal() and number.isdecimal() and int(index) < int(number)):
            self.fail(f"{value!r} is not I/N with I from 0 to N - 1, such as 0/8", param, ctx)
        return int(index), int(number)


FOLDER, DATASET, TASK = _Folder(), _DatasetFolder(), _Task()
PICTURES = (".png", ".svg")
PICTURE = _Picture()


def computing_options(command: Command) -> Command:
    """--device and --precision of commands that only ask a model: exact unless told otherwise."""
    return with_options(
        click.option(
            "--device",
            type=click.Choice(DEVICES),
            default="auto",
            show_default=True,
            help="Where to compute.",
        ),
        click.option(
            "--precision",
            type=click.Choice(PRECISIONS),
            default="fp32",
            show_default=True,
            help="Of matrix products.",
        ),
    )(command)


def completing(folder: str, suffix: str) -> Callable[..., list[CompletionItem]]:
    """Completes names of files that ship with lmprep, and paths."""
    from click.shell_completion import CompletionItem

    def complete(_context: object, _parameter: object, incomplete: str) -> list[CompletionItem]:
        paths = sorted((Path(__file__).parents[1] / folder).glob(f"*{suffix}"))
        names = [path.stem for path in paths if path.stem.startswith(incomplete)]
        return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]

    return complete


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
    click.option(
        "--text-field", help="Field or column of a record that holds the text.  [default: text]"
    ),
    click.option(
        "--encoding-errors",
        type=click.Choice(ENCODING_ERRORS),
        help="Text that is not UTF-8: an error, replaced by U+FFFD, or its lines skipped and "
        "counted.  [default: error]",
    ),
    click.option(
        "--on-error",
        type=click.Choice(ON_ERROR),
        help="Records without a text: stop, or skip and count them.  [default: stop]",
    ),
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
