"""The reference on the page about recipes is what the settings say, and all of it."""

from __future__ import annotations

import re
import tomllib

from lmprep.recipe_reference import MARK, reference
from lmprep.shipped import shipped_recipes
from tests.pages import DOCS, page


def test_the_page_holds_what_is_generated():
    assert page("recipes").partition(MARK)[2] == reference(), (
        "run: python -m lmprep.recipe_reference lmprep/docs/recipes.md"
    )


def test_every_key_of_the_shipped_recipes_is_in_the_reference():
    known = set(re.findall(r"`([a-z0-9_]+)`", reference()))
    for recipe in shipped_recipes().values():
        for table in tomllib.loads(recipe.path.read_text(encoding="utf-8")).values():
            assert set(table) - {"stage"} <= known, recipe.name


def test_every_key_has_a_meaning_and_no_name_of_the_code_is_left():
    rows = re.findall(r"^\| `[a-z0-9_]+`.*", reference(), re.MULTILINE)

    assert len(rows) > 90
    assert not [row for row in rows if row.endswith("|  |")]
    assert not re.findall(r"`[A-Z_]{3,}`|\w+\.\w+\.[A-Z]+`", reference())
    assert all((DOCS / name).exists() for name in re.findall(r"\]\(([a-z-]+\.md)\)", reference()))
