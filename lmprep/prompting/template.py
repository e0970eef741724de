"""Templates: how a task is put into words.

    description = "Is the review positive or negative?"     # may be left out
    template = "Review: {text}\\nVerdict: {label}"
    separator = "\\n\\n"                                      # between parts; this is the default

    [labels]                                               # as the files have them = as written
    positive = "good"
    negative = "bad"

Slots are columns of the task file. `{label}` is the last of them, and ends the template. A prompt
is the description, examples with their labels, and the asked one up to its label:

    Is the review positive or negative?

    Review: a fine film
    Verdict: good

    Review: two lost hours
    Verdict:
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lmprep.errors import InputError, UsageError
from lmprep.settings import refuse_unknown

LABEL = "{label}"
_SLOT = re.compile(r"\{([^{}]*)\}")
_KEYS = ("description", "template", "separator", "labels")
_EXAMPLE = '"Review: {text}\\nVerdict: {label}"'


@dataclass(frozen=True, kw_only=True)
class Template:
    """A task in words.

    Args:
        description: what stands before everything; may be empty.
        before: the template up to its label, spaces at its end included.
        separator: between description, examples and the asked one.
        labels: by the name that files have, what is written; every one different.
    """

    description: str
    before: str
    separator: str
    labels: Mapping[str, str]

    @property
    def slots(self) -> tuple[str, ...]:
        """The columns that it needs, each once."""
        return tuple(dict.fromkeys(_SLOT.findall(self.before)))

    def asked(self, values: Mapping[str, str]) -> str:
        """An example up to its label."""
        return _SLOT.sub(lambda slot: values[slot[1]], self.before)

    def told(self, values: Mapping[str, str], label: str) -> str:
        """An example with its label."""
        return self.asked(values) + self.labels[label]

    def prompt(self, shots: Sequence[str], values: Mapping[str, str]) -> str:
        """All that stands before the label of the asked example."""
        parts = [self.description] if self.description else []
        return self.separator.join([*parts, *shots, self.asked(values)])


def load_template(path: Path) -> Template:
    """Read a template.

    Raises:
        UsageError: there is no such file, or a key of it is not known.
        InputError: it is no TOML, or no template.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError("no such file", path=path, fix="Check the path") from None
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 ({error})", path=path, fix="Save it as UTF-8") from None
    try:
        found = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not valid TOML ({error})", path=path, fix="See the message") from None
    try:
        refuse_unknown("key of a template", found, _KEYS)
    except ValueError as error:
        raise UsageError(
            str(error), path=path, fix=f"The keys of a template are {', '.join(_KEYS)}"
        ) from None
    for key in ("description", "template", "separator"):
        if not isinstance(found.get(key, ""), str):
            _refuse(path, content, key, f"{key} is not a text", "Put it in quotes")
    template = found.get("template", "")
    if not template.endswith(LABEL) or template.count(LABEL) != 1:
        _refuse(path, content, "template", f"the template does not end with {LABEL}",
                f"Write for instance {_EXAMPLE}")  # fmt: skip
    before = template.removesuffix(LABEL)
    if not _SLOT.search(before):
        _refuse(path, content, "template", "the template has no slot for a text",
                f"Write for instance {_EXAMPLE}")  # fmt: skip
    return Template(
        description=found.get("description", ""),
        before=before,
        separator=found.get("separator", "\n\n"),
        labels=_labels(path, content, found.get("labels", {})),
    )


def _labels(path: Path, content: str, labels: object) -> Mapping[str, str]:
    if (
        not isinstance(labels, dict)
        or len(labels) < 2
        or not all(isinstance(text, str) and text.strip() for text in labels.values())
    ):
        _refuse(path, content, "labels", "it has no two labels with a text each",
                'Write [labels] with lines such as positive = "good"')  # fmt: skip
    if len(set(labels.values())) < len(labels):
        _refuse(path, content, "labels", "two labels are written alike", "Write them differently")
    return labels


def _refuse(path: Path, content: str, key: str, what: str, fix: str) -> NoReturn:
    """Raise with the line of a key, if it is there."""
    found = re.search(rf"^[ \t]*\[?{key}\b", content, flags=re.MULTILINE)
    line = content.count("\n", 0, found.start()) + 1 if found else None
    raise InputError(what, path=path, line=line, fix=fix)
