"""What attention sees, as pictures of the masks that models use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from lmprep.models.shown_masks import shown_masks
from lmprep.report.elements import element, facts


def attention(recipes: Mapping[str, Mapping[str, Any]]) -> list[Element]:
    """Which masks runs have, by the recipe of each, and the pictures of all."""
    used = [(name, _sees(recipe)) for name, recipe in recipes.items()]
    pictures = [_squares(mask.name, mask.cells, mask.about) for mask in shown_masks()]
    what = "Rows look, columns are looked at; a row's position sees the columns that are filled."
    return [
        facts(used, "attention of the runs"),
        element("p", what),
        element("div", *pictures, class_="figures small"),
    ]


def _sees(recipe: Mapping[str, Any]) -> str:
    kind = recipe["model"].get("kind", "encoder")
    if kind == "encoder-decoder":
        return "bidirectional in the encoder; causal and cross in the decoder"
    mask = "bidirectional" if kind == "encoder" else "causal"
    return f"packed, {mask}" if recipe["pretrain"].get("packed", True) else mask


def _squares(title: str, cells: Sequence[Sequence[bool]], legend: str) -> Element:
    """A table of yes and no as squares, rows downwards."""
    size, down, across = 16, len(cells), len(cells[0])
    shapes = [
        element(
            "rect",
            x=j * size + 1,
            y=i * size + 1,
            width=size - 2,
            height=size - 2,
            class_="seen" if cells[i][j] else "unseen",
        )
        for i in range(down)
        for j in range(across)
    ]
    picture = element(
        "svg",
        *shapes,
        viewBox=f"0 0 {across * size} {down * size}",
        role="img",
        aria_label=f"{title}: {legend}",
        class_="mask",
    )
    return element("figure", element("figcaption", title), picture, element("p", legend))
