"""A page in one file: its style, its programs and its data are in it, and it may load nothing.

What comes from outside gets in as text only: into elements, which escape it, and as JSON in a
`script` element that no browser runs, whose characters with a meaning in HTML are escaped. The
page's own rule (Content-Security-Policy) lets run what is listed there by hash, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from lmprep import __version__
from lmprep.report.elements import element

_STYLE = "report.css"
_PROGRAMS = ("tokens.js", "examples.js", "axes.js")
_ESCAPED = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def page(title: str, sections: Sequence[Element], data: Any) -> bytes:
    """The page, UTF-8.

    Args:
        title: its heading, and its name in the browser.
        sections: its parts; each has an id, and a heading first.
        data: plain values that its programs read.
    """
    links = [element("a", part[0].text or "", href=f"#{part.get('id')}") for part in sections]
    contents = element(
        "nav", element("ul", *(element("li", link) for link in links)), aria_label="Contents"
    )
    programs = [_own(name) for name in _PROGRAMS]
    body = element(
        "body",
        element("a", "Skip to the content", href="#content", class_="skip"),
        element("header", element("h1", title), contents),
        element("main", *sections, id="content"),
        element("footer", element("p", f"Made by lmprep {__version__}.")),
        _verbatim("script", embedded(data), type="application/json", id="data"),
        *(_verbatim("script", program) for program in programs),
    )
    style = _own(_STYLE)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {_hashes(style)}",
            f"script-src {_hashes(*programs)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        _verbatim("style", style),
    )
    document = element("html", head, body, lang="en")
    written: bytes = ElementTree.tostring(document, encoding="utf-8", method="html")
    return b"<!doctype html>\n" + written


def embedded(data: Any) -> str:
    """JSON that may stand in a `script` element: nothing in it ends that, or opens another."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escape in _ESCAPED.items():
        text = text.replace(character, escape)
    return text


def _own(name: str) -> str:
    """A file of the page that lies beside this one."""
    return files("lmprep.report").joinpath(name).read_text(encoding="utf-8")


def _verbatim(tag: str, content: str, **attributes: object) -> Element:
    """An element whose content is no text: HTML does not escape style and script."""
    made = element(tag, **attributes)
    made.text = content
    return made


def _hashes(*contents: str) -> str:
    digests = (hashlib.sha256(content.encode()).digest() for content in contents)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
