"""What all commands share: examples that can be typed, less or more said, completion."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lmprep.cli import cli, log
from tests.corpora import make_tokenizer, write_corpus


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """All commands and groups by what is typed."""
    for name, command in group.commands.items():
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = dict(commands(cli))


def shown(command: click.Command) -> list[str]:
    """The example lines of a command's help."""
    _, _, lines = (command.epilog or "").partition("Example")
    found = [line.strip() for line in lines.split("\n")[1:] if line.startswith("  ")]
    return [line for line in found if "lmprep" in line]


def typed(line: str) -> Iterator[list[str]]:
    """The words behind each `lmprep` of a line, up to a pipe or the file it writes to."""
    lexer = shlex.shlex(line.split("     (")[0], posix=True, punctuation_chars="|>()")
    lexer.whitespace_split = True
    words: list[str] | None = None
    for word in [*lexer, "|"]:
        if word == "lmprep":
            words = []
        elif word in ("|", ">", "(", ")"):
            if words:
                yield words
            words = None
        elif words is not None:
            words.append(word)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_two_examples_that_can_be_typed(name, tmp_path, monkeypatch):
    examples = shown(COMMANDS[name])
    assert len(examples) >= 2

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(click.Path, "convert", lambda self, value, param, ctx: Path(value))
    for line in examples:
        for words in typed(line):
            left, command = words, cli
            context = click.Context(cli, info_name="lmprep")
            while isinstance(command, click.Group) and left and left[0] in command.commands:
                command, left = command.commands[left[0]], left[1:]
            with command.make_context("x", [*left], parent=context):
                pass


def test_quiet_commands_say_nothing_but_results_and_trouble(run, tmp_path):
    corpus = write_corpus(tmp_path / "c.txt", documents=6)
    make_tokenizer(corpus, tmp_path / "tok")
    usual = run("build", "mlm", "c.txt", "-t", "tok", "-o", "a", "--length", 32)
    quiet = run("build", "mlm", "c.txt", "-t", "tok", "-o", "b", "--length", 32, "-q")
    wrong = run("build", "mlm", "none.txt", "-t", "tok", "-o", "c", "-q")

    assert usual.code == quiet.code == 0
    assert "examples" in usual.err
    assert quiet.err == ""
    assert wrong.code == 2
    assert "none.txt" in wrong.err


def test_verbose_commands_tell_what_is_done(run, tmp_path):
    corpus = write_corpus(tmp_path / "c.txt", documents=6)
    make_tokenizer(corpus, tmp_path / "tok")
    ended = run("build", "mlm", "c.txt", "-t", "tok", "-o", "a", "--length", 32, "-v",
                "--workers", 1)  # fmt: skip

    assert ended.code == 0
    assert "1 inputs in 1 sources, engine local, plan " in ended.err
    assert "The fast way through BertNormalizer, BertPreTokenizer." in ended.err
    assert "Done: source 0, partition 0, " in ended.err
    assert "Warning" not in ended.err


def test_very_verbose_errors_have_a_traceback(run):
    plain = run("verify", "nowhere")
    told = run("verify", "nowhere", "-vv")

    assert plain.code == told.code == 2
    assert "Traceback" not in plain.err
    assert "Traceback (most recent call last)" in told.err
    assert told.err.rstrip().split("\n")[-1] == plain.err.rstrip()


def test_quiet_and_verbose_exclude_each_other(run):
    ended = run("verify", "nowhere", "-q", "-v")

    assert ended.code == 2
    assert "-q and -v exclude each other" in ended.err


def test_bars_are_drawn_on_a_terminal_alone_and_not_when_quiet(monkeypatch):
    monkeypatch.delenv("LMPREP_LOG_FORMAT", raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert log.draws_bars()
    monkeypatch.setenv("LMPREP_VERBOSITY", "-1")
    assert not log.draws_bars()


def test_bash_completes_commands_options_and_recipes(tmp_path):
    """In a real shell, as `complete -F` would ask."""
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "lmprep").write_text(f'#!/bin/sh\nexec {sys.executable} -m lmprep "$@"\n')
    (bin / "lmprep").chmod(0o755)
    script = """
eval "$(lmprep completion bash)"
ask() {
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
  _lmprep_completion lmprep
  printf '%s\\n' "${COMPREPLY[*]}"
}
ask lmprep pret
ask lmprep build mlm --mask-r
ask lmprep run distil
ask lmprep docs vocab
"""
    path = f"{bin}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["bash", "-c", script], env=os.environ | {"PATH": path}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert ended.stdout.split("\n")[:4] == ["pretrain", "--mask-rate", "distilbert", "vocabularies"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts_of_other_shells_are_valid_there(run, shell, tmp_path):
    script = run("completion", shell).out

    assert "lmprep" in script
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} to parse it")
    (tmp_path / "script").write_text(script)
    subprocess.run([shell, "-n", tmp_path / "script"], check=True)


def test_a_shell_must_be_named_where_none_is_known(run, monkeypatch):
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    ended = run("completion")

    assert ended.code == 2
    assert "Name a shell: bash, zsh, fish" in ended.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("pretrian",), "Did you mean 'pretrain'?"),
        (("build", "mlm", "x", "--lenght", "3"), "'--length'"),
        (("run", "brt", "--corpus", "x"), "Did you mean bert?"),
        (("build", "mln", "x"), "did you mean mlm?"),
        (("docs", "training-"), "did you mean training?"),
        (("run", "bert", "--corpus", "x", "--set", "build.lenth=3"), "did you mean length?"),
    ],
)  # fmt: skip
def test_what_is_misspelt_gets_a_suggestion(run, arguments, hint):
    ended = run(*arguments)

    assert ended.code == 2
    assert hint in ended.err
