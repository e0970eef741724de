"""What is wrong with one of many texts, told by its number first and by its line in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lmprep.errors import InputError


class RowFault(ValueError):
    """A text that a model cannot be asked about.

    Args:
        row: its number among the texts, from 0.
        what: what is wrong.
        fix: what to do.
    """

    def __init__(self, row: int, what: str, fix: str) -> None:
        super().__init__(f"text {row + 1}: {what}. {fix}.")
        self.row, self.what, self.fix = row, what, fix


@contextmanager
def naming_lines(lines: Sequence[int], path: str | Path) -> Iterator[None]:
    """Make an `InputError` with file and line of a `RowFault`.

    Args:
        lines: the line of each text.
        path: of their file; `-` is stdin.
    """
    try:
        yield
    except RowFault as fault:
        name = "stdin" if str(path) == "-" else path
        line = lines[fault.row]
        raise InputError(fault.what, path=name, line=line, fix=fault.fix) from None


def refuse_long(rows: Sequence[Sequence[int]], limit: int | None) -> None:
    """Raise `RowFault` for the first row that is longer than a model takes."""
    for number, row in enumerate(rows):
        if limit is not None and len(row) > limit:
            what = f"its {len(row)} tokens are more than the model's {limit} positions"
            raise RowFault(number, what, "Shorten it")
