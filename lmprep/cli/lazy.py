"""Commands that are imported when they are asked for: `lmprep encode` waits for no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from keyword import iskeyword

import click

from lmprep.cli import log


class LazyCommands(MutableMapping[str, click.Command]):
    """The commands of `lmprep` by name, each from the module `lmprep.cli.NAME`.

    Args:
        summaries: what each does, in a line; in the order in which they are listed.
    """

    def __init__(self, summaries: Mapping[str, str]) -> None:
        self.summaries = summaries
        self._commands: dict[str, click.Command | None] = dict.fromkeys(summaries)

    def __getitem__(self, name: str) -> click.Command:
        command = self._commands[name]
        if command is None:
            command = self._commands[name] = self._imported(name)
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)

    def _imported(self, name: str) -> click.Command:
        attribute = f"{name}_" if iskeyword(name) else name
        command: click.Command = getattr(import_module(f"lmprep.cli.{attribute}"), attribute)
        command.short_help = self.summaries[name]
        log.add_option(command)
        return command
