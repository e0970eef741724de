"""The reference part of the page on recipes, written from the settings' own records.

    python -m lmprep.recipe_reference lmprep/docs/recipes.md     brings the page up to date

Every table of a recipe, every key: its type and default from the field, its meaning from the
docstring of the record. What stands above `MARK` on the page is written by hand and stays.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator
from dataclasses import MISSING, Field, fields
from fractions import Fraction
from inspect import cleandoc
from itertools import groupby
from pathlib import Path
from typing import Any

from lmprep import objective_settings, settings
from lmprep.build_settings import BuildSettings
from lmprep.objective_settings import FORMS
from lmprep.pretrain_settings import PretrainSettings
from lmprep.settings import CorpusSettings, SequenceSettings, Settings, VocabSettings, decimal
from lmprep.vectors.settings import VectorSettings

MARK = "<!-- From here on: python -m lmprep.recipe_reference lmprep/docs/recipes.md -->\n"

_TYPES = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "Fraction": "rate",
    "Number": "number",
    "tuple[str, ...]": "list of texts",
    "tuple[Fraction, ...]": "list of rates",
}
# Names in docstrings that are no name of a recipe.
_SPELT = {
    "`models.settings.MODELS`": "[models](models.md)",
    "`MODELS`": "[word vectors](word-vectors.md)",
    "`DENOISERS`": "the seven denoisers",
    "`objectives.OBJECTIVES`": "[objectives](objectives.md)",
}
# Keys that are written otherwise in a recipe than they are called in a record.
_RECORDS = ("objective_settings", "sequences", "corpus")
_KEYS = {"partition_bytes": "partition_size"}
_FILES = (
    "| `files` | text or list of texts | | files, globs or addresses, from the recipe's folder; "
    "`--corpus` takes their place |"
)
_TEACHER = (
    "The keys of [pretrain], for the model that is distilled. What it does not say is as in "
    "[pretrain], the model a BERT of the student's size."
)
_BY_MODEL = ("width", "epochs", "lr", "ceiling", "power", "start", "removed")
_ARGUMENT = re.compile(r"^    ([a-z0-9_, ]+): (.*(?:\n     .*)*)", re.MULTILINE)
_HEAD = ("| key | type | default | meaning |", "|---|---|---|---|")


def reference() -> str:
    """The reference, as Markdown."""
    lines = ["", "## [corpus]", "", *_HEAD]
    lines += [_FILES]
    lines += [*_rows(CorpusSettings), "", "## [vocab]", "", *_HEAD, *_rows(VocabSettings)]
    lines += ["", "## [build]", "", *_HEAD, *_rows(BuildSettings, leave=_RECORDS)]
    lines += [*_rows(SequenceSettings, unset=("length", "sequences", "short_sequence_probability"))]
    lines += ["", "What is not given follows from the objective. Each has keys of its own:", ""]
    lines += ["| objective | `length` | `sequences` |", "|---|---|---|"]
    lines += [f"| `{n}` | {form.length} | `{form.sequences[0]}` |" for n, form in FORMS.items()]
    for name, form in FORMS.items():
        if fields(form.settings):  # type: ignore[arg-type]
            lines += ["", f"### {name}", "", *_HEAD, *_rows(form.settings)]
    lines += ["", "## [pretrain]", "", *_HEAD, *_rows(PretrainSettings, leave=("stages",))]
    lines += ["", '`time` may be a text such as `"10m"`, a size such as `"64MB"`.', ""]
    lines += ["## [[pretrain.stage]]", "", *_HEAD]
    lines += ["| `length` | whole number | | tokens in the rows of this stage |"]
    lines += ["| `share` | rate | | of the training; in every stage, or in none |"]
    lines += ["| `steps` | whole number | | of the training; the same |", ""]
    lines += ["## [pretrain] of word vectors", "", *_HEAD, *_rows(VectorSettings, unset=_BY_MODEL)]
    lines += ["", "## [teacher]", "", _TEACHER]
    return "\n".join(lines) + "\n"


def _rows(
    kind: type[Settings], *, leave: Collection[str] = (), unset: Collection[str] = ()
) -> Iterator[str]:
    """A row for each field, one for those that the docstring explains together.

    Args:
        leave: fields that are no key.
        unset: fields whose default is decided elsewhere.
    """
    meanings = argument_texts(kind)
    kept = [f for f in fields(kind) if f.name not in leave]  # type: ignore[arg-type]
    for meaning, group in groupby(kept, lambda f: meanings[f.name]):
        row = [
            (
                f"`{_KEYS.get(f.name, f.name)}`",
                _type(f),
                "" if f.name in unset else _default(f),
            )
            for f in group
        ]
        keys, types, defaults = zip(*row, strict=True)
        default = ", ".join(filter(None, defaults))
        yield f"| {', '.join(keys)} | {types[0]} | {default} | {meaning} |"


def argument_texts(kind: type[Settings]) -> dict[str, str]:
    """What a record's docstring, and those of the records it extends, say of each field."""
    texts: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        arguments = cleandoc(one.__doc__ or "").partition("Args:\n")[2]
        for found in _ARGUMENT.finditer(arguments):
            text = _spelt(" ".join(found[2].split()))
            texts |= dict.fromkeys(found[1].split(", "), text.removesuffix("."))
    return texts


def _spelt(text: str) -> str:
    """A text with the values in the place of the constants that it names."""
    for name, spelt in _SPELT.items():
        text = text.replace(name, spelt)
    for name in re.findall(r"`([A-Z_]+)`", text):
        values = getattr(settings, name, getattr(objective_settings, name, None))
        if isinstance(values, tuple):
            text = text.replace(f"`{name}`", ", ".join(f"`{value}`" for value in values))
    return text.replace("|", "\\|")


def _type(f: Field[Any]) -> str:
    return "size" if f.name in _KEYS else _TYPES[str(f.type).removesuffix(" | None")]


def _default(f: Field[Any]) -> str:
    """The default as a recipe would have it; empty where there is none, or where none is set."""
    value = f.default
    if value is MISSING:
        return "needed" if f.default_factory is MISSING else ""
    if value is None or value in ("", ()):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return f"`{decimal(value) if isinstance(value, Fraction) else value}`"


def update(page: Path) -> None:
    """Write the reference anew below the mark of a page."""
    above, mark, _ = page.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise ValueError(f"{page} has no line {MARK.strip()!r}")
    page.write_text(above + MARK + reference(), encoding="utf-8")


if __name__ == "__main__":
    update(Path(sys.argv[1]))
