"""Reports for tests: hostile texts, and a page in a real browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

ATTACK = "</script><script>window.hit=1</script>"
HOSTILE = (
    ATTACK,
    "<img/src=x/onerror=window.hit=1>",
    "<!--<script>",
    "&lt;b&gt;&amp;",
    "]]>",
    "\u202egnp.exe",
    "a\u2028b\u2029c",
    "\x00\x1b[31m",
    "שלום",
    "__proto__",
    "constructor",
    "x" * 1_000_000,
)
"""Words that want to be something else than text."""


def hostile_tokenizer(folder: Path) -> Path:
    """A tokenizer of BERT's family in which every hostile text is one token."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *HOSTILE, "plain", "word"]
    ids = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    tokenizer.add_special_tokens(words[:5])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def hostile_corpus(path: Path) -> Path:
    """Records in which every hostile text is a word; in lines of text some would end the line."""
    texts = [f"plain {word} word plain {word} word" for word in HOSTILE]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; without one the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api")
    found = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
    )
    if not found:
        pytest.skip("there is no Chromium (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, path: Path, scheme: str = "light") -> Iterator[Any]:
    """A page; whatever the console says, and whatever it asks the network for, fails the test."""
    page = browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))
    page.goto(path.absolute().as_uri())
    yield page
    assert said == [path.absolute().as_uri()]
    page.close()
