"""The commands of the page on `lmprep report` do what it says."""

from __future__ import annotations

import re
from pathlib import Path

from tests.test_docs import ROOT, examples, run

PAGE = (ROOT / "lmprep" / "docs" / "report.md").read_text(encoding="utf-8")


def test_the_commands_of_the_page_make_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command, shown in examples(PAGE):
        if command.startswith("lmprep vocab"):
            assert "tokens per word" in run(command)
        else:
            assert run(command) == shown
    page = Path("page.html").read_text(encoding="utf-8")

    assert re.findall(r"<h2>(.*?)</h2>", page) == ["Dataset shards", "Vocabulary tok"]
