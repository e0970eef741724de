"""What cards are made of: README.md files that people read, with a header that hubs read.

The header is YAML between two lines of hyphens, as https://huggingface.co/docs/hub has it. JSON is
YAML too, so that every text is quoted as JSON quotes it, and no value can end its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SETTING = ("setting", "value")


def front_matter(fields: Mapping[str, Any]) -> str:
    """The header: a line for each field, a further one for each entry of a list; None is left out.

    Texts of letters, digits and hyphens alone stand as they are.
    """
    lines = ["---"]
    for name, value in fields.items():
        if isinstance(value, list):
            lines += [f"{name}:", *(f"- {_quoted(entry)}" for entry in value)] if value else []
        elif value is not None:
            lines.append(f"{name}: {_quoted(value)}")
    return "\n".join([*lines, "---"])


def _quoted(value: Any) -> str:
    plain = isinstance(value, str) and value.replace("-", "").isalnum() and value[0].isalpha()
    return value if plain else json.dumps(value, ensure_ascii=False)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: Any) -> str:
    """A value that neither ends its cell nor its line."""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.replace("|", r"\|").replace("\n", " ") or "none"


def flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested settings as `name.name`; those that are not set are left out."""
    found: list[tuple[str, Any]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found += flat(value, f"{prefix}{name}.")
        elif value is not None:
            found.append((prefix + name, value))
    return found
