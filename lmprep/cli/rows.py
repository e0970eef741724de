"""Rows drawn for people: tokens in lines as wide as the terminal, targets under them.

Roles are told apart by marks, and on a terminal by colour too (`NO_COLOR` turns that off). The
margin says A and B for the two segments of a pair, in and out for inputs and targets, and was for
the line of what stood above it in the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from lmprep.cli.console import show_json, stdout_console

if TYPE_CHECKING:
    from rich.text import Text

    from lmprep.checks.inspect import Row, Token

_MARKS = {"random": "~{}~", "kept": "={}=", "noise": "*{}*"}
_DOCUMENT = "¶"
_LEGEND = {
    "masked": "the mask stands where the token below was",
    "random": "~x~ a random token stands where the one below was",
    "kept": "=x= left as it is, and predicted all the same",
    "noise": "*x* not in the input",
    "sentinel": "<extra_id_N> stands for a span",
    "document": f"{_DOCUMENT} a further document begins",
}
_STYLES = {
    "text": "",
    "special": "dim",
    "sentinel": "bold yellow",
    "masked": "bold magenta",
    "random": "bold red",
    "kept": "bold green",
    "noise": "bold green",
}
_SECOND, _TARGET, _HEAD = "cyan", "italic green", "bold"
_MARGIN = 5


def show_rows(rows: Sequence[Row], *, as_json: bool) -> None:
    """Rows on stdout, for people or as one JSON list."""
    if as_json:
        show_json([row_facts(row) for row in rows])
        return
    console = stdout_console()
    for row in rows:
        lines = _pair_lines(row) if "weight" in row.facts else _row_lines(row, console.width)
        for line in lines:
            console.print(line, soft_wrap=True)
    if legend := _legend(rows):
        console.print(f"({legend})", soft_wrap=True, style="dim", markup=False)


def row_facts(row: Row) -> dict[str, Any]:
    """A record as plain data, without what is empty."""
    facts = {
        "row": row.number,
        "objective": row.objective,
        **row.facts,
        "tokens": [_plain(token) for token in row.inputs],
    }
    return facts | ({"targets": [_plain(t) for t in row.targets]} if row.targets else {})


def _plain(token: Token) -> dict[str, Any]:
    return {name: value for name, value in asdict(token).items() if value not in (None, 0, False)}


def _row_lines(row: Row, width: int) -> Iterator[Text]:
    """The lines of one row, an empty one at the end."""
    from rich.text import Text

    from lmprep.checks.inspect import explain

    counts = [f"{len(row.inputs)} tokens"]
    counts += [f"{len(row.targets)} in the targets"] if row.targets else []
    counts += [f"{row.scored} to predict"] if row.scored else []
    yield Text(f"row {row.number}: {', '.join(counts)}; {'; '.join(explain(row.facts))}", _HEAD)
    two = any(token.segment for token in row.inputs)
    for segment, tokens in groupby(row.inputs, key=lambda token: token.segment):
        name = "AB"[segment] if two else "in" if row.targets else ""
        yield from _token_lines(list(tokens), name, width)
    yield from _token_lines(row.targets, "out", width)
    yield Text()


def _pair_lines(row: Row) -> Iterator[Text]:
    """One line for a co-occurrence count."""
    from rich.text import Text

    (word,), (context,) = row.inputs, row.targets
    yield Text(f"row {row.number}: {word.text}  {context.text}  {row.facts['weight']:g}")


def _token_lines(tokens: Sequence[Token], name: str, width: int) -> Iterator[Text]:
    """Tokens side by side, as many as fit a line, with a second line where there are targets."""
    from rich.cells import cell_len
    from rich.text import Text

    upper, lower, targets = Text(), Text(), False
    for token in tokens:
        shown, below = _shown(token), token.target or ""
        room = max(cell_len(shown), cell_len(below)) + 1
        if upper and cell_len(upper.plain) + room - 1 > width:
            yield from _finished(upper, lower, targets)
            upper, lower, targets = Text(), Text(), False
        if not upper:
            upper.append(name.ljust(_MARGIN), "dim")
            lower.append("was".ljust(_MARGIN), "dim")
        upper.append(shown, _style(token))
        upper.append(" " * (room - cell_len(shown)))
        lower.append(below, _TARGET)
        lower.append(" " * (room - cell_len(below)))
        targets |= bool(below)
    yield from _finished(upper, lower, targets)


def _finished(upper: Text, lower: Text, targets: bool) -> Iterator[Text]:
    """Both lines without spaces at their ends; the lower one only if there are targets in it."""
    for line in (upper, lower)[: 1 + targets]:
        line.rstrip()
        if line:
            yield line


def _shown(token: Token) -> str:
    marked = _MARKS.get(token.role, "{}").format(token.text)
    return (_DOCUMENT if token.begins else "") + marked


def _style(token: Token) -> str:
    return _SECOND if token.segment and token.role == "text" else _STYLES[token.role]


def _legend(rows: Sequence[Row]) -> str:
    """What the marks that occur mean."""
    from lmprep.checks.inspect import PREDICTED

    tokens = [token for row in rows for token in (*row.inputs, *row.targets)]
    roles = {token.role for token in tokens if token.target is not None or token.role != "masked"}
    roles |= {"document"} if any(token.begins for token in tokens) else set()
    said = [text for role, text in _LEGEND.items() if role in roles]
    objectives = dict.fromkeys(row.objective for row in rows)
    return "; ".join([PREDICTED[o] for o in objectives if o in PREDICTED] + said)
