"""What a model is asked, line by line, and what it answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lmprep.corpus import expand
from lmprep.corpus.blocks import whole_lines
from lmprep.corpus.sources import Part
from lmprep.errors import InputError

AT_ONCE = 64
"""Lines that are answered together."""

# Columns of a line of text, parted by tabs, that make an example of a task.
COLUMNS = {
    "classify": ("text",),
    "pair": ("text", "second"),
    "tag": ("text",),
    "span": ("text",),
    "qa": ("question", "context"),
}


def read_lines(file: str) -> Iterator[list[tuple[int, str]]]:
    """Lines with their numbers from 1, `AT_ONCE` together; empty ones too, but no last one.

    Args:
        file: a path, packed or not, a URL, or `-` for standard input.

    Raises:
        InputError: it cannot be read or is not UTF-8.
    """
    (source,) = expand([file], format="txt")
    found: list[tuple[int, str]] = []
    for lines in whole_lines(Part(file=source)):
        texts = lines.decode().split("\n")
        if texts[-1] == "":
            texts.pop()
        for number, text in enumerate(texts, lines.before + 1):
            found.append((number, text.removesuffix("\r")))
            if len(found) == AT_ONCE:
                yield found
                found = []
    if found:
        yield found


def example_of(task: str, line: str, number: int, file: str) -> dict[str, Any]:
    """The example in a line: a JSON object, or columns parted by tabs.

    Raises:
        InputError: it is neither.
    """
    file = "stdin" if file == "-" else file
    if line.lstrip().startswith("{"):
        try:
            found = json.loads(line)
        except ValueError as error:
            what = f"not a JSON object ({error})"
            raise InputError(what, path=file, line=number, fix="Write one object a line") from None
        return dict(found)
    names = COLUMNS.get(task)
    if names is None:
        raise InputError(
            "not a JSON object",
            path=file,
            line=number,
            fix='Write {"text": CONTEXT, "choices": [...]} in a line',
        )
    cells = line.split("\t") if len(names) > 1 else [line]
    if len(cells) != len(names):
        raise InputError(
            f"has {len(cells)} columns",
            path=file,
            line=number,
            fix=f"Write {' TAB '.join(name.upper() for name in names)}, or a JSON object",
        )
    return dict(zip(names, cells, strict=True))


def as_text(task: str, answer: dict[str, Any]) -> str:
    """An answer as a line, or as lines of words."""
    if task in ("classify", "pair"):
        return f"{answer['label']}\t{max(answer['scores'].values()):.4f}"
    if task == "choice":
        return f"{answer['choice']}\t{max(answer['scores']):.4f}"
    if task == "tag":
        pairs = zip(answer["words"], answer["tags"], strict=True)
        return "".join(f"{word}\t{tag}\n" for word, tag in pairs)
    if task == "span":
        words = answer["words"]
        spans = (
            f"{label}\t{' '.join(words[first : last + 1])}"
            for first, last, label in answer["spans"]
        )
        return "\t".join(spans)
    return str(answer["answer"])
