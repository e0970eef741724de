"""What commands say on stderr: lines for people, or a JSON object a line for batch systems.

`--log-format json` (or LMPREP_LOG_FORMAT=json) makes every line of progress, warning and error an
object with `time` (ISO 8601, UTC), `level` (`info`, `progress`, `warning` or `error`), `message`,
and what else is known of it: bytes and rate, file, line and fix of an error, the exit code.

`-q` leaves warnings and errors, `-v` adds what is done and how, `-vv` all of that and tracebacks
(LMPREP_VERBOSITY is -1, 1 and 2 then).
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import click

_VARIABLE = "LMPREP_LOG_FORMAT"  # of the environment: worker processes inherit it
_VERBOSITY = "LMPREP_VERBOSITY"
FORMATS = ("text", "json")
_LEVELS = {1: logging.INFO, 2: logging.DEBUG}


def is_json() -> bool:
    """Whether lines are JSON objects."""
    return os.environ.get(_VARIABLE) == "json"


def verbosity() -> int:
    """-1 quiet, 0 as usual, 1 or 2 for more."""
    try:
        return int(os.environ.get(_VERBOSITY, "0"))
    except ValueError:
        return 0


def draws_bars() -> bool:
    """Whether progress is drawn: on a terminal, unless lines or nothing is asked for."""
    return sys.stderr.isatty() and not is_json() and verbosity() >= 0


def say(line: str, level: str = "info", /, **facts: Any) -> None:
    """A line on stderr; `facts` go into a JSON object only.

    Quiet, nothing but warnings, errors and what is said at the end of a command that was stopped.
    """
    if verbosity() < 0 and level in ("info", "progress") and "exit_code" not in facts:
        return
    if is_json():
        line = _object(line, level, facts)
    # The present stderr: while rich draws, that is not the one of before.
    print(line, file=sys.stderr, flush=True)


def _object(line: str, level: str, facts: dict[str, Any]) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    known = {name: value for name, value in facts.items() if value is not None}
    record = {"time": now, "level": level, "message": line, **known}
    return json.dumps(_plain(record), ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    """The value with null for infinite numbers and for those that are none: JSON has neither."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def show_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An error that is a fault of ours, with its traceback: `sys.excepthook`."""
    if not is_json():
        sys.__excepthook__(kind, error, trace)
        return
    lines = traceback.format_exception(kind, error, trace)
    say(f"{kind.__name__}: {error}", "error", traceback="".join(lines))


class Handler(logging.Handler):
    """Warnings of the library, and whatever else it logs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say a record, as it is with JSON and with `Warning:` before it without."""
        level = "warning" if record.levelno >= logging.WARNING else "info"
        mark = "Warning: " if level == "warning" and not is_json() else ""
        say(mark + record.getMessage(), level)


def add_option(command: click.Command) -> None:
    """Let a command, and those below it, take `-q`, `-v` and `--log-format`."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            add_option(inner)
        return
    option = click.Option(
        ["--log-format"],
        type=click.Choice(FORMATS),
        envvar=_VARIABLE,
        expose_value=False,
        is_eager=True,
        callback=_choose,
        help="Lines on stderr: text, or a JSON object each, for batch systems.  [default: text]",
    )
    quiet = click.Option(
        ["-q", "--quiet"],
        is_flag=True,
        expose_value=False,
        callback=_hush,
        help="Nothing on stderr but warnings and errors.",
    )
    verbose = click.Option(
        ["-v", "--verbose"],
        count=True,
        expose_value=False,
        callback=_speak,
        help="What is done and how; -vv: tracebacks of errors too.",
    )
    command.params += [quiet, verbose, option]


def _choose(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        os.environ[_VARIABLE] = value


def _hush(context: click.Context, _parameter: click.Parameter, quiet: bool) -> None:
    if quiet:
        if context.meta.get(_VERBOSITY):
            raise click.UsageError("-q and -v exclude each other.")
        context.meta[_VERBOSITY] = -1
        os.environ[_VERBOSITY] = "-1"


def _speak(context: click.Context, _parameter: click.Parameter, count: int) -> None:
    if count:
        if context.meta.get(_VERBOSITY):
            raise click.UsageError("-q and -v exclude each other.")
        context.meta[_VERBOSITY] = count
        os.environ[_VERBOSITY] = str(min(count, 2))
    level = _LEVELS.get(min(2, verbosity()), logging.WARNING)
    logging.getLogger("lmprep").setLevel(level)


def wants_json(arguments: Sequence[str] | None) -> bool:
    """Whether JSON was asked for, even where the command line cannot be read any further."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    pairs = zip(words, [*words[1:], ""], strict=True)
    asked = any(pair == ("--log-format", "json") for pair in pairs)
    return asked or "--log-format=json" in words or is_json()
