"""`lmprep try` and `lmprep inspect`: rows for people, marked, coloured, wrapped, and as JSON."""

from __future__ import annotations

import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import numpy as np
import pytest

import lmprep
from lmprep.checks.inspect import Row, Token
from lmprep.cli.rows import show_rows
from lmprep.objective_settings import FORMS
from tests.corpora import build_dataset, make_tokenizer, write_corpus

FAMILY = {"t5": "t5", "ul2": "ul2", "bart": "roberta", "clm": "gpt2"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    corpus = write_corpus(folder / "corpus.txt", documents=24)
    for family in ("bert", "roberta", "gpt2", "t5", "ul2"):
        make_tokenizer(corpus, folder / family, family=family)
    for pairs in ("nsp", "none"):
        build_dataset(corpus, folder / "bert", folder / pairs, pairs=pairs, partition_bytes=1000)
    return folder


@pytest.mark.parametrize("objective", FORMS)
def test_try_shows_what_build_would_store(run, folder, objective):
    """In the order of the text, from the same draws: also where `build` reads the text twice."""
    tokenizer, corpus = folder / FAMILY.get(objective, "bert"), folder / "corpus.txt"
    flags = ("-t", tokenizer, "--length", 48, "--seed", 7)
    order = () if objective == "cooccurrence" else ("--keep-order",)
    if objective == "skipgram":
        flags += ("--subsample", "0.01")
    built = run("build", objective, corpus, *flags, "-o", "out", *order)
    assert built.code == 0, built.err
    tried = json.loads(run("try", objective, corpus, *flags, "--json").out)
    stored = json.loads(run("inspect", "out", "--rows", 10**6, "--json").out)

    assert len(tried) > 3
    assert tried == stored


def test_try_reads_a_pipe_and_writes_nothing(lmprep, folder, tmp_path):
    done = lmprep("try", "span", "-t", folder / "bert", "-", stdin=b"Ba ke lo mi nu ra so te.\n")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("row 0: ")
    assert "[CLS]" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_copy_is_masked_anew(run, folder):
    text = folder / "corpus.txt"
    rows = [
        json.loads(run("try", "mlm", text, "-t", folder / "bert", "--copy", c, "--json").out)
        for c in (0, 1)
    ]

    def restored(tokens):
        return [token.get("target", token["text"]) for token in tokens]

    assert rows[0] != rows[1]
    assert all(restored(a["tokens"]) == restored(b["tokens"]) for a, b in zip(*rows, strict=True))


def test_try_shows_all_windows_or_so_many(run, folder):
    text = folder / "corpus.txt"
    every = run("try", "mlm", text, "-t", folder / "bert", "--length", 32)
    some = run("try", "mlm", text, "-t", folder / "bert", "--length", 32, "--rows", 2)
    rows = every.out.count("\nrow ") + 1

    assert rows > 5
    assert some.out.count("\nrow ") + 1 == 2
    assert f"{rows - 2} more rows." in some.err
    assert "more rows" not in every.err


@pytest.mark.parametrize(
    ("objective", "flags", "text", "words"),
    [
        ("mlm", ("--pairs", "sop"), "Ba ke lo.\n", ("pairs sop", "one_sentence", "two sentences")),
        ("mlm", ("--pairs", "nsp"), "Ba ke.\nLo mi.\n", ("pairs nsp", "two documents")),
        ("clm", (), "\n", ("the corpus is empty",)),
        ("skipgram", (), "Ba.\n", ("too short for skipgram", "--subsample 0")),
        ("cooccurrence", (), "a\n", ("too short for cooccurrence", "longer text")),
    ],
)
def test_a_text_too_short_for_the_objective_says_so(run, folder, objective, flags, text, words):
    Path("short.txt").write_text(text)
    ended = run("try", objective, "short.txt", "-t", folder / "bert", *flags)
    line = next(line for line in ended.err.splitlines() if line.startswith("Error"))

    assert ended.code == 1
    assert ended.out == ""
    assert all(word in line for word in words)


def test_what_was_dropped_is_said(run, folder):
    Path("pairs.txt").write_text("Ba ke lo.\nMi nu ra.\n\nSo te vi.\n")
    ended = run("try", "mlm", "pairs.txt", "-t", folder / "bert", "--pairs", "sop")

    assert ended.code == 0
    assert "Dropped: 1 sop_one_sentence_chunk_sentences" in ended.err


def marked(block: str) -> list[tuple[str, str, str]]:
    """(margin, token, what stands below it) from the lines of one row without colour."""
    found: list[tuple[str, str, str]] = []
    lines = block.splitlines()[1:]
    for upper, lower in zip(lines, [*lines[1:], ""], strict=True):
        if upper.startswith("was"):
            continue
        below = lower[5:] if lower.startswith("was") else ""
        for token in re.finditer(r"\S+", upper[5:]):
            found.append((upper[:5].strip(), token[0], below[token.start() :].split(" ")[0]))
    return found


def test_marks_say_the_roles_and_targets_stand_below(run, folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    marks = {"random": "~{}~", "kept": "={}="}
    rows = json.loads(run("inspect", folder / "nsp", "--rows", 9, "--json").out)
    shown = run("inspect", folder / "nsp", "--rows", 9).out

    assert len(rows) == 9
    assert "\x1b" not in shown
    for row, block in zip(rows, shown.split("\n\n"), strict=False):
        expected = [
            (
                "AB"[token.get("segment", 0)],
                marks.get(token["role"], "{}").format(token["text"]),
                token.get("target", ""),
            )
            for token in row["tokens"]
        ]
        assert marked(block) == expected
        assert max(map(len, block.splitlines()[1:])) <= 60
        assert f"; document {row['document'] & 0xFFFF}" in block
        assert f"next_sentence_label {row['next_sentence_label']}: " in block


def test_a_target_longer_than_its_token_moves_the_next_one(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    tokens = [
        Token(id=4, text="a", role="random", target="bookshelf"),
        Token(id=5, text="日本", begins=True),
        Token(id=6, text="b", role="kept", target="b"),
        Token(id=7, text="behind", segment=1),
    ]
    show_rows([Row(number=3, objective="mlm", inputs=tuple(tokens))], as_json=False)
    lines = capsys.readouterr().out.splitlines()

    # A character of two columns takes two.
    assert lines[:5] == [
        "row 3: 4 tokens, 2 to predict; ",
        "A    ~a~       ¶日本 =b=",
        "was  bookshelf       b",
        "B    behind",
        "",
    ]


def test_a_legend_names_the_marks_that_occur(run, folder):
    Path("text.txt").write_text("Ba ke lo mi nu ra so te vi zu.\n")
    everything = ("--mask-rate", 1)
    command = ("try", "mlm", "text.txt", "-t", folder / "bert", *everything)
    masked = run(*command, "--mask-share", 1, "--random-share", 0).out
    kept = run(*command, "--mask-share", 0, "--random-share", 0).out

    assert "the mask stands" in masked
    assert "=x=" not in masked
    assert "=x=" in kept
    assert "the mask stands" not in kept
    assert "each token is predicted" in run("try", "clm", "text.txt", "-t", folder / "gpt2").out


def on_terminal(command: list[str], columns: int, **environment: str) -> str:
    """What a command prints on a terminal that is so wide."""
    pid, master = pty.fork()
    if pid == 0:
        usual = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        os.execvpe(command[0], command, {**usual, "TERM": "xterm-256color", **environment})
    ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown = b""
    while True:
        try:
            part = os.read(master, 1 << 16)
        except OSError:  # the other end is closed
            break
        shown += part
        if not part:
            break
    assert os.waitpid(pid, 0)[1] == 0, shown
    os.close(master)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of forkpty:DeprecationWarning")
def test_a_terminal_gets_colours_and_lines_of_its_width(folder, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    command = [sys.executable, "-m", "lmprep", "inspect", str(folder / "nsp"), "--rows", "2"]
    coloured = on_terminal(command, 70)
    plain = on_terminal(command, 70, NO_COLOR="1")
    monkeypatch.setenv("COLUMNS", "70")
    piped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    codes = re.compile(r"\x1b\[[0-9;]*m")
    tokens = [line for line in codes.sub("", coloured).splitlines() if line[:4] in ("A   ", "B   ")]

    assert "\x1b[1;35m[MASK]" in coloured  # masked
    assert "\x1b[36m" in coloured  # the second segment
    assert "\x1b[36m" not in plain
    assert "35m" not in plain
    assert "\x1b" not in piped
    assert codes.sub("", coloured).split() == piped.split()
    assert 50 < max(map(len, tokens)) <= 70


@pytest.mark.parametrize("command", ["inspect --rows 999", "stats", "inspect --rows 999 --json"])
def test_a_reader_that_has_enough_is_no_failure(folder, command):
    program = f"{sys.executable} -m lmprep {command} {folder / 'nsp'}"
    done = subprocess.run(
        ["bash", "-c", f"{program} | head -c 1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout[1:] == "0\n"
    assert "Traceback" not in done.stderr


def test_inspect_finds_rows_by_what_their_columns_hold(run, folder):
    dataset = lmprep.load(folder / "nsp")
    columns = dataset.rows(np.arange(len(dataset)))
    wanted = np.flatnonzero(
        (columns["next_sentence_label"] == 1) & (columns["first_sentence"] == 0)
    )
    found = json.loads(
        run(
            "inspect", folder / "nsp", "--rows", 10**6, "--json",
            "--where", "next_sentence_label=1", "--where", "first_sentence=0",
        ).out
    )  # fmt: skip

    assert len(dataset.shards) > 2
    assert [row["row"] for row in found] == wanted.tolist()
    assert len(wanted) > 1


def test_inspect_of_a_further_copy_shows_it_masked_anew(run, folder):
    dataset = lmprep.load(folder / "none", copy=3)
    ids = dataset.rows(np.arange(2))["input_ids"]
    rows = json.loads(run("inspect", folder / "none", "--copy", 3, "--rows", 2, "--json").out)

    assert [[token["id"] for token in row["tokens"]] for row in rows] == [i.tolist() for i in ids]


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--where", "documents=1"), 2, ("documents", "did you mean document?")),
        (("--where", "input_ids=1"), 2, ("unknown column 'input_ids'",)),
        (("--where", "document"), 2, ("document", "column=number")),
        (("--rows", "0"), 2, ("--rows",)),
        (("--where", "document=99999"), 0, ("No row of", "document=99999")),
    ],
)
def test_questions_that_cannot_be_answered(run, folder, flags, code, words):
    ended = run("inspect", folder / "nsp", *flags)

    assert ended.code == code
    assert ended.out == ""
    assert all(word in ended.err for word in words)


def test_a_copy_that_cannot_be_drawn_is_refused(run, folder):
    build_dataset(
        folder / "corpus.txt", folder / "bert", Path("words"), objective="skipgram", subsample="0.1"
    )
    ended = run("inspect", "words", "--copy", 1)

    assert ended.code == 2
    assert "copy 1 is not stored" in ended.err


@pytest.mark.parametrize("command", ["inspect", "stats", "verify"])
def test_a_dense_dataset_is_refused_with_what_to_do(run, folder, command):
    build_dataset(folder / "corpus.txt", folder / "bert", Path("d"), pairs="none", dense=True)
    ended = run(command, "d")

    assert ended.code == 1
    assert "Error: d: this dataset is dense" in ended.err
    assert "--dense" in ended.err
