"""The recipes that ship with lmprep, and how a name becomes a file.

A recipe begins with two comments: what it is, and where its settings come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from lmprep.errors import UsageError

_FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """A recipe of the package.

    Args:
        name: what `lmprep run` calls it.
        title, source: its first two lines.
        path: its file.
    """

    name: str
    title: str
    source: str
    path: Path


def shipped_recipes() -> dict[str, Shipped]:
    """All of them by name, in alphabetical order."""
    return {path.stem: _shipped(path) for path in sorted(_FOLDER.glob("*.toml"))}


def _shipped(path: Path) -> Shipped:
    title, source = path.read_text(encoding="utf-8").splitlines()[:2]
    return Shipped(
        name=path.stem, title=title.removeprefix("# "), source=source.removeprefix("# "), path=path
    )


def find_recipe(name: str) -> Path:
    """The recipe file a user means: a file, else one that ships with lmprep.

    Raises:
        UsageError: neither; says which name is near.
    """
    path = Path(name)
    if path.is_file():
        return path
    recipes = shipped_recipes()
    if name in recipes:
        return recipes[name].path
    near = get_close_matches(path.stem, recipes, 1)
    raise UsageError(
        "there is no such recipe: neither a TOML file nor one of `lmprep recipes`",
        path=name,
        fix=f"Did you mean {near[0]}?" if near else f"There are {', '.join(recipes)}",
    )
