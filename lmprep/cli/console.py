"""What commands show: tables and JSON on stdout, progress on stderr.

Bars are drawn only on a terminal; elsewhere a line now and then says how far things are.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import click

from lmprep.cli.log import draws_bars, is_json, say

__all__ = ["Advance", "make_table", "progress", "say", "show_json", "show_table", "stdout_console"]

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_SECONDS_BETWEEN_LINES = 10.0


class Advance(Protocol):
    """Report more bytes done."""

    def __call__(self, done: int) -> None: ...


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Advance]:
    """Progress in bytes, of `total` if that is known: a bar on a terminal, else plain lines."""
    if not draws_bars():
        lines = _Lines(what, total)
        yield lines
        if is_json():
            lines.report()
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


@contextmanager
def counting(what: str, unit: str) -> Iterator[Callable[[int, int], object]]:
    """Progress in things done, of how many: a bar on a terminal, else nothing."""
    if not draws_bars():
        yield lambda done, total: None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn(unit),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Lines:
    """A line when something has happened and the last one is a while ago."""

    def __init__(self, what: str, total: int | None) -> None:
        self._what = what
        self._total = total
        self._started = self._last = time.monotonic()
        self._done = 0

    def __call__(self, done: int) -> None:
        self._done += done
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            self.report()

    def report(self) -> None:
        """Say how far things are."""
        rate = self._done / 1e6 / max(1e-3, time.monotonic() - self._started)
        say(
            f"{self._what}: {self._done / 1e6:.1f} MB, {rate:.1f} MB/s",
            "progress",
            step=self._what,
            bytes=self._done,
            total_bytes=self._total,
            megabytes_a_second=round(rate, 3),
        )


def show_json(value: Any) -> None:
    """A result for programs."""
    click.echo(json.dumps(value, ensure_ascii=False))


def show_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A result for people; numbers to the right, full width when stdout is not a terminal."""
    console = stdout_console(width=None if sys.stdout.isatty() else 200)
    console.print(make_table(title, header, rows))


def stdout_console(width: int | None = None) -> Console:
    """A rich console for results; a reader that has enough (`| head`) is no failure."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich itself would exit with 1

    return Output(width=width, highlight=False)


def make_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A rich table; a column whose values all start with a digit or a sign goes to the right."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), box=box.SIMPLE_HEAD, title_justify="left")
    for number, name in enumerate(header):
        cells = [str(row[number]) for row in rows]
        numeric = all(cell[:1].isdigit() or cell[:1] in "-+~" for cell in cells if cell)
        table.add_column(name, justify="right" if numeric and any(cells) else "left")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    return table
