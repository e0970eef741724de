"""Elements of a page. Text goes in as it is and comes out as text, whatever it holds."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from lmprep.checks.inspect import readable

MOST_CHARACTERS = 1000
"""Longer texts are cut, and say so."""


def shown(text: str, most: int = MOST_CHARACTERS) -> str:
    """A text for eyes: nothing in it is invisible, and it is not longer than a page can bear."""
    if len(text) > most:
        return f"{readable(text[:most])}… ({len(text):,} characters)"
    return readable(text)


def element(tag: str, *children: Element | str | None, **attributes: object) -> Element:
    """An element with its children; those that are None are left out.

    Args:
        attributes: `class_` stands for `class`, `aria_label` for `aria-label`; None and False are
            left out, True is an attribute without a value.
    """
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None and value is not False:
            written = "" if value is True else shown(str(value))
            made.set(name.rstrip("_").replace("_", "-"), written)
    for child in children:
        if isinstance(child, str):
            _add_text(made, shown(child))
        elif child is not None:
            made.append(child)
    return made


def _add_text(parent: Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Element:
    """A table whose first column names its rows; columns of numbers go to the right."""
    numeric = [_is_numeric([row[i] for row in rows]) for i in range(len(header))]
    sides = ["number" if right else None for right in numeric]
    head = [
        element("th", name, scope="col", class_=side)
        for name, side in zip(header, sides, strict=True)
    ]
    body = []
    for row in rows:
        cells = [element("td", cell, class_=side) for cell, side in zip(row, sides, strict=True)]
        cells[0] = element("th", row[0], scope="row")
        body.append(element("tr", *cells))
    return element(
        "div",
        element(
            "table",
            element("caption", caption) if caption else None,
            element("thead", element("tr", *head)) if any(header) else None,
            element("tbody", *body),
        ),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label=caption or "table",
    )  # fmt: skip


def _is_numeric(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(cell[0].isdigit() or cell[0] in "-+" for cell in filled)


def facts(lines: Sequence[tuple[str, str]], label: str) -> Element:
    """Names and what is to be said of each."""
    pairs = [
        element("div", element("dt", name), element("dd", value)) for name, value in lines if value
    ]
    return element("dl", *pairs, class_="facts", aria_label=label)


def details(summary: str, *children: Element | None) -> Element:
    """What is folded away at first."""
    return element("details", element("summary", summary), *children)


def section(
    title: str, *children: Element | None, level: int = 2, id_: str | None = None
) -> Element:
    """A part of the page under a heading."""
    return element("section", element(f"h{level}", title), *children, id=id_)
