"""The index lists every page, `lmprep docs` shows it, and no link leads nowhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lmprep.cli import cli
from tests.pages import DOCS, ROOT, blocks, commands, page, run

PAGES = sorted(path.stem for path in DOCS.glob("*.md"))


def test_the_index_lists_every_page_once():
    listed = re.findall(r"^- \[([a-z-]+)\]\(\1\.md\): \S", page("index"), re.MULTILINE)

    assert sorted(listed) == [name for name in PAGES if name != "index"]


def test_the_command_lists_what_the_index_lists():
    shown = run("lmprep docs")

    for name, about in re.findall(r"^- \[([a-z-]+)\]\(.*\): (.*)", page("index"), re.MULTILINE):
        assert re.search(rf"\b{name} +{re.escape(about)}", shown), name
    for group in re.findall(r"^## (.*)", page("index"), re.MULTILINE):
        assert len(re.findall(rf"^ +{group} ", shown, re.MULTILINE)) == 1


def test_the_command_prints_a_page():
    assert run("lmprep docs sizing") == page("sizing")


@pytest.mark.parametrize("path", [*DOCS.glob("*.md"), ROOT / "README.md"], ids=lambda p: p.stem)
def test_every_link_to_a_file_or_a_heading_leads_somewhere(path: Path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target, anchor in re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)", text):
        linked = path.parent / target if target else path
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-")
                              for h in headings}, anchor  # fmt: skip


def test_named_pages_of_the_command_exist():
    for path in [*DOCS.glob("*.md"), ROOT / "README.md"]:
        for name in re.findall(r"lmprep docs ([a-z][a-z-]+)", path.read_text(encoding="utf-8")):
            assert name in PAGES, (path.name, name)


def written_commands(text: str) -> Iterator[str]:
    """The commands of lmprep in the blocks of a page, each without what stands around it."""
    for language, content in blocks(text):
        if language in ("sh", "console"):
            shown = re.sub(r"\\\n|\|\n", lambda found: found[0][0].strip("\\") + " ", content)
            lines = re.findall(r"^\$ (.*)", shown, re.MULTILINE) if "$ " in shown else [shown]
            for line in lines:
                for command in commands(line):
                    yield from re.findall(r"(?:^|\| |&& |-m )(lmprep [^|<>;&]*)", command)


@pytest.mark.parametrize("path", [*DOCS.glob("*.md"), ROOT / "README.md"], ids=lambda p: p.stem)
def test_every_command_on_a_page_is_one_that_is_understood(path: Path):
    for written in written_commands(path.read_text(encoding="utf-8")):
        # Variables have no value here, and an address would be looked up.
        if not re.search(r"\$|://", written) and written.count("'") % 2 == 0:
            understood(shlex.split(written)[1:], written)


def understood(words: list[str], written: str) -> None:
    """Let click read the words of a command: its name, options and their values."""
    command: click.Command = cli
    context = click.Context(cli, info_name="lmprep")
    try:
        while isinstance(command, click.Group) and words:
            name, found, words = command.resolve_command(context, words)
            assert found is not None
            command = found
            context = click.Context(command, parent=context, info_name=name)
        command.make_context(context.info_name, list(words), parent=context.parent)
    except click.exceptions.Exit:  # --help
        pass
    except click.UsageError as error:
        raise AssertionError(f"{written}: {error.format_message()}") from None


def test_the_steps_in_the_readme_are_those_of_the_quick_start():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (steps,) = re.findall(r"```sh\n(lmprep vocab.*?)```", readme, re.DOTALL)

    assert len(steps.splitlines()) == 6
    assert all(step in page("quick-start").splitlines() for step in steps.splitlines())
