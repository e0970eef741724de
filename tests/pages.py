"""Walk a page of the documentation: run its blocks in order, in one folder, and compare.

    ```sh        commands, a line each; those of lmprep in this process, others by bash
    ```console   `$ command` and below it what it prints; `...` stands for anything, and where
                 nothing is shown nothing is compared
    ```python    run; in one namespace for the page
    ```pycon     `>>> ` and below it what is printed, as doctest has it

Other blocks (`text`, `toml`, ...) are for eyes. The folder holds `samples/` as the root of the
source tree does.
"""

from __future__ import annotations

import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "lmprep" / "docs"
_BLOCK = re.compile(r"^ *```(sh|console|python|pycon)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ (.*(?:\\\n.*)*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def page(name: str) -> str:
    """The text of a page."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def walk(text: str, folder: Path, *, shorter: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run all blocks of a page in `folder`; return the names its Python has defined.

    Args:
        shorter: parts of commands that would take too long, and what the test runs instead. Each
            must be on the page.
    """
    for long in shorter or {}:
        assert long in text, f"the page no longer says {long!r}"
    if not (folder / "samples").exists():
        (folder / "samples").symlink_to(ROOT / "samples")
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "100")
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("PYTHONPATH", str(ROOT))
        for language, content in blocks(text):
            for long, short in (shorter or {}).items():
                content = content.replace(long, short)
            _RUN[language](content, names)
    return names


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of the blocks that are run, without the indent of a list."""
    for found in _BLOCK.finditer(text):
        lines = found[2].splitlines(keepends=True)
        indent = len(found[0]) - len(found[0].lstrip(" "))
        yield found[1], "".join(line[indent:] if line.strip() else line for line in lines)


def _sh(content: str, _: dict[str, Any]) -> None:
    for command in commands(content):
        run(command)


def commands(content: str) -> Iterator[str]:
    """The commands of a block, one after another; a here-document belongs to its command."""
    lines = iter(content.replace("\\\n", " ").splitlines())
    for line in lines:
        if end := re.search(r"<<'(\w+)'$", line):
            text = list(takewhile(lambda each: each != end[1], lines))
            yield "\n".join([line, *text, end[1]])
        elif line:
            yield line


def _console(content: str, _: dict[str, Any]) -> None:
    assert content.startswith("$ "), content
    for command, shown in _COMMAND.findall(content):
        printed = run(command.replace("\\\n", " "))
        if shown.strip():
            found = "\n".join(line.rstrip() for line in printed.splitlines()).strip("\n")
            assert fits(found, shown.strip("\n")), (
                f"$ {command}\n{found}\n--- the page has\n{shown}"
            )


def fits(found: str, shown: str) -> bool:
    """Whether what was printed is what is shown, where `...` stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in shown.split("..."))
    return re.fullmatch(pattern, found, flags=re.DOTALL) is not None


def _python(content: str, names: dict[str, Any]) -> None:
    with redirect_stdout(io.StringIO()):
        exec(compile(content, "<page>", "exec"), names)


def _pycon(content: str, names: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(content, names, "page", None, 0)
    said = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    result = runner.run(test, out=said.write, clear_globs=False)
    names.update(test.globs)
    assert result.failed == 0, said.getvalue()


_RUN = {"sh": _sh, "console": _console, "python": _python, "pycon": _pycon}


def run(command: str) -> str:
    """What a command prints. Those of lmprep run in this process, since starting one takes a
    second, also in a pipe."""
    parts = command.split(" | ")
    ours = any(part.startswith("lmprep ") for part in parts)
    if "\n" in command or not ours or not all(map(_stands_alone, parts)):
        return _bash(command).decode()
    output = b""
    for part in parts:
        output = _in_process(part, output) if part.startswith("lmprep ") else _bash(part, output)
    return output.decode()


def _stands_alone(part: str) -> bool:
    """Whether a part of a pipe is a command by itself, not a piece of a text or one with a file."""
    try:
        words = shlex.split(part)
    except ValueError:
        return False
    return bool(words) and (words[0] != "lmprep" or not re.search(r"[|<>;&]", part))


def _bash(command: str, given: bytes = b"") -> bytes:
    done = subprocess.run(
        ["bash", "-c", command], input=given, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stderr.decode()}"
    return done.stdout


def _in_process(command: str, given: bytes) -> bytes:
    from lmprep.cli import cli

    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(out),
        redirect_stderr(io.StringIO()),
    ):
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"))
        patch.setenv("LMPREP_VERBOSITY", "0")
        patch.setenv("LMPREP_LOG_FORMAT", "text")
        words = [w for word in shlex.split(command)[1:] for w in _expanded(word)]
        # Results do not depend on it, and each process takes a second to start.
        one = ["--workers", "1"] if words[0] in ("vocab", "build", "run") else []
        cli.main([*words, *one], standalone_mode=False)
        return out.buffer.getvalue()  # type: ignore[attr-defined, no-any-return]


def _expanded(word: str) -> list[str]:
    """A glob as the shell would give it."""
    return sorted(map(str, Path().glob(word))) or [word] if "*" in word else [word]
