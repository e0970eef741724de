"""The display of a training: live on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from lmprep.cli.log import draws_bars, say

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table

    from lmprep.training.metrics import Progress

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def display() -> Iterator[Callable[[Progress], None]]:
    """Draws the progress of a training: live on a terminal, plain lines elsewhere."""
    if not draws_bars():
        yield _Lines()
        return
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_dumb_terminal:  # cannot move its cursor up
        yield _Lines()
        return
    with _live(console) as draw:
        yield draw


@contextmanager
def _live(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Draws in place, and clears it away in the end; warnings go above."""
    from rich.live import Live

    begin = "Preparing the first steps ..."
    with Live(begin, console=console, auto_refresh=False, transient=True) as live:
        yield lambda progress: live.update(panel(progress), refresh=True)


def panel(progress: Progress) -> Group:
    """What stands on a terminal: where the training is, a bar, losses by objective, the rest."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    bar = Table.grid(expand=True, padding=(0, 1))
    bar.add_column(ratio=1)
    bar.add_column(no_wrap=True)
    bar.add_row(
        ProgressBar(total=1.0, completed=min(1.0, progress.fraction), complete_style="cyan"),
        f"{progress.fraction:.0%}  {duration(progress.seconds_left)} left",
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True, min_width=8)
    facts.add_column()
    for name, value in _facts(progress).items():
        facts.add_row(name, Text(value, style="yellow" if name == "skipped" else ""))
    where = Text.assemble(("pretrain  ", "bold"), ", ".join(_where(progress)))
    return Group(where, bar, _figures(progress), facts)


def _where(progress: Progress) -> list[str]:
    stage = [f"stage of {progress.stage}"] if progress.stage else []
    return [f"step {progress.step:,}", f"epoch {progress.epoch:.2f}", *stage]


def _figures(progress: Progress) -> Table:
    """Losses and accuracies, a column for each objective and one for the losses' weighted sum."""
    from rich.table import Table

    rows = {"loss": _by_objective(progress.losses, "_loss")}
    if len(rows["loss"]) != 1:
        rows["loss"]["sum"] = progress.loss
    if progress.validation:
        rows["held out"] = _by_objective(progress.validation, "_loss")
        rows["accuracy"] = _by_objective(progress.validation, "_accuracy")
    objectives = dict.fromkeys(name for figures in rows.values() for name in figures)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True, min_width=8)
    for _ in objectives:
        table.add_column(justify="right")
    table.add_row("", *objectives, style="dim")
    for label, figures in rows.items():
        table.add_row(label, *(_number(figures.get(name)) for name in objectives))
    return table


def _by_objective(figures: Mapping[str, float], suffix: str) -> dict[str, float]:
    return {k.removesuffix(suffix): v for k, v in figures.items() if k.endswith(suffix)}


def _facts(progress: Progress) -> dict[str, str]:
    """What stands below the figures, line by line."""
    facts = {
        "speed": _speed(progress),
        "rate": f"{progress.lr:.2e}",
        "trained": duration(progress.elapsed),
    }
    if progress.skipped:
        facts["skipped"] = _steps(progress.skipped)
    if progress.validation:
        age = progress.step - progress.validation_step
        ago = f", {_steps(age)} ago" if age else ""
        facts["held out"] = f"scored after step {progress.validation_step:,}{ago}"
    return facts


def _speed(progress: Progress) -> str:
    speed = f"{progress.tokens_per_second:,.0f} tokens/s"
    if progress.utilisation is None:
        return speed
    return f"{speed}, {progress.utilisation:.1%} of the peak ({progress.peak})"


class _Lines:
    """A line when the last one is a few seconds ago, and at the end."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_LINES or progress.fraction >= 1:
            self._last = now
            facts = {k: v for k, v in asdict(progress).items() if v not in ("", {}, None)}
            say("pretrain: " + line(progress), "progress", **facts)


def line(progress: Progress) -> str:
    """A progress in one line."""
    losses = {"loss": progress.loss} | (progress.losses if len(progress.losses) > 1 else {})
    parts = [
        f"step {progress.step} ({progress.fraction:.0%})",
        f"epoch {progress.epoch:.2f}",
        *([f"stage of {progress.stage}"] if progress.stage else []),
        *(f"{name} {_number(value)}" for name, value in losses.items()),
        f"lr {progress.lr:.2e}",
        _speed(progress),
        *([f"skipped {_steps(progress.skipped)}"] if progress.skipped else []),
        f"elapsed {duration(progress.elapsed)}",
        f"left {duration(progress.seconds_left)}",
    ]
    held_out = validation_facts(progress.validation, progress.validation_step, progress.step)
    return ", ".join(parts + [f"{name} {value}" for name, value in held_out.items()])


def validation_facts(figures: Mapping[str, float], made: int, now: int) -> dict[str, str]:
    """The figures of the last validation, and after which step unless it is the present one."""
    when = "" if made == now else f" (step {made})"
    return {f"valid {name}": f"{_number(value)}{when}" for name, value in figures.items()}


def duration(seconds: float) -> str:
    """`45 s`, `12 min 5 s`, `3 h 20 min` or `2 d 5 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def _steps(count: int) -> str:
    return f"{count:,} step" if count == 1 else f"{count:,} steps"


def _number(value: float | None) -> str:
    """Three decimals; nothing where there is none, a dash where all steps were skipped."""
    if value is None:
        return ""
    return f"{value:.3f}" if math.isfinite(value) else "-"
