"""The page on datasets shows what there is."""

from __future__ import annotations

import re
from pathlib import Path

import lmprep
from lmprep import duplicates
from lmprep.overlap import comparison
from lmprep.shards import manifest
from tests.test_docs import ROOT, examples, run

PAGE = (Path(lmprep.__file__).parent / "docs" / "datasets.md").read_text(encoding="utf-8")


def test_the_commands_do_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    for command, shown in examples(PAGE):
        found = "\n".join(line.rstrip() for line in run(command).splitlines()).rstrip("\n")
        if shown:
            assert found == shown, command
        if "verify" in command:
            assert '"passed": false' not in found
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    rows: dict[str, object] = {}
    exec(code, rows)
    assert len(rows["rows"]) == len(lmprep.load("books"))  # type: ignore[arg-type]


def test_the_limits_are_those_on_the_page():
    assert f"{comparison._TABLE_KEYS / 1e6:.1f} million n-grams" in PAGE
    assert f"{64 * duplicates._BUCKET_ROWS / 1e6:.0f} MB" in PAGE
    assert f"{manifest._MOST_BYTES / 1e6:.0f} MB" in PAGE
