"""What the pages that walk from end to end show is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages import page, walk

# What takes minutes on a page is done for some steps here.
QUICKLY = {
    "quick-start": {
        "--time 2m": "--steps 5",
        "samples/bert-tiny.toml": "samples/bert-tiny.toml --set pretrain.steps=5",
    },
    "tutorial": {"--steps 600": "--steps 6"},
    "textbook": {},
    "fine-tuning": {},
    "predict": {},
    "prompting": {},
    "evaluation": {},
    "command-line": {},
    "python": {},
    "recipes": {"steps=300": "steps=3", "steps = 300": "steps = 3"},
}


@pytest.mark.parametrize("name", QUICKLY)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of transformers, when it loads an export
def test_the_page_does_what_it_shows(name, tmp_path: Path):
    walk(page(name), tmp_path, shorter=QUICKLY[name])
