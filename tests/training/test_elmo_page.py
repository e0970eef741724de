"""The page on ELMo works as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import lmprep
from lmprep.models.settings import model_settings
from lmprep.models.spellings import filters_of

ROOT = Path(lmprep.__file__).parents[1]
PAGE = (ROOT / "lmprep" / "docs" / "elmo.md").read_text(encoding="utf-8")


def alone(command: str) -> list[str]:
    """Starting processes takes most of the time on so small a corpus."""
    return ["--workers", "1"] if command.startswith(("vocab", "build")) else []


def test_the_commands_and_the_program_work(run, tmp_path):
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    commands = re.findall(r"^\$ lmprep (.*)$", PAGE, flags=re.MULTILINE)
    shown = ""
    for command in commands:
        ended = run(*shlex.split(command), *alone(command))
        assert ended.code == 0, ended.err
        shown = ended.out
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict = {}
    exec(program, names)

    assert len(commands) == 4
    for row in ("next tokens", "tokens before", "by frequency alone"):
        assert row in shown
    assert names["features"].shape == (1, 5, 2 * 128)


def test_the_table_of_models_is_right():
    rows = re.findall(
        r"^\| `(elmo-\w+)`, `(\S+)` \| (\d+) \| (\d+) \| characters \((\d+)", PAGE, re.M
    )

    assert len(rows) == 3
    for name, tokens, cells, width, filters in rows:
        spelled, plain = (model_settings(n, vocabulary_size=9) for n in (name, tokens))
        assert (spelled.feed_forward, spelled.width) == (int(cells), int(width))
        assert (plain.feed_forward, plain.width) == (int(cells), int(width))
        assert sum(filters_of(k) for k in range(1, spelled.filters + 1)) == int(filters)
        assert plain.filters == 0
