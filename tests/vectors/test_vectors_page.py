"""The commands on the page on word vectors work, and its figures are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import lmprep
from lmprep.vectors.settings import MODELS, OBJECTIVES, VectorSettings

ROOT = Path(lmprep.__file__).parents[1]
PAGE = (ROOT / "lmprep" / "docs" / "word-vectors.md").read_text(encoding="utf-8")


def alone(command: str) -> list[str]:
    """Starting processes takes most of the time on so small a corpus."""
    return ["--workers", "1"] if command.startswith(("vocab", "build")) else []


def test_the_commands_work(run, tmp_path):
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    commands = re.findall(r"^\$ lmprep (.*)$", PAGE, flags=re.MULTILINE)

    assert len(commands) == 9
    for command in commands:
        ended = run(*shlex.split(command), *alone(command))
        assert ended.code == 0, ended.err
    assert (tmp_path / "glove" / "vectors.txt").exists()


def test_the_table_names_all_models():
    rows = re.findall(r"^\| `(\w+)-tiny`, .*\| `(\w+)` \|$", PAGE, flags=re.MULTILINE)

    assert sorted(rows) == sorted((f, o) for o, families in OBJECTIVES.items() for f in families)
    sizes = {model.rpartition("-")[2]: VectorSettings(model=model).width for model in MODELS}
    assert f"are {', '.join(f'{w} ({s})' for s, w in list(sizes.items())[:2])}" in PAGE


def test_the_defaults_are_those_of_the_settings():
    word2vec, cbow, glove = (
        VectorSettings(model=f"{f}-tiny") for f in ("word2vec", "cbow", "glove")
    )

    assert f"| `--epochs` | {word2vec.epochs} |" in PAGE
    assert f"| `--lr` | {word2vec.lr}; cbow {cbow.lr}; glove {glove.lr} |" in PAGE
    assert f"| {glove.ceiling:g}, {glove.power} |" in PAGE
    assert [VectorSettings(model=m).removed for m in ("glove-base", "glove-tiny", "cbow-base")] == [
        3,
        1,
        0,
    ]
    assert f"| `--set start=NAME` | {glove.start} |" in PAGE
    assert cbow.epochs == glove.epochs == word2vec.epochs
