"""`lmprep encode`: a row for each line or record, in four forms, from files and pipes."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from tests.corpora import make_tokenizer, write_corpus

LMPREP = [sys.executable, "-m", "lmprep"]
LINES = ["Ba ke lo.", "", "  mi nu ", "ra", "\tSo", " ", "te [MASK] vi"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("encode")
    corpus = write_corpus(folder / "corpus.txt")
    make_tokenizer(corpus, folder / "bert")
    make_tokenizer(corpus, folder / "gpt2", family="gpt2")
    return folder


def expected(tokenizer: Path, texts: list[str]) -> list[list[int]]:
    """What the library gives, text by text."""
    library = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    library.encode_special_tokens = True
    return [library.encode(text, add_special_tokens=False).ids for text in texts]


def records(ended) -> list[list[int]]:
    assert ended.code == 0, ended.err
    return [json.loads(line)["ids"] for line in ended.out.splitlines()]


@pytest.mark.parametrize("family", ["bert", "gpt2"])
@pytest.mark.parametrize("last", ["\n", ""])
def test_every_line_is_one_row_an_empty_one_too(run, folder, family, last):
    Path("a.txt").write_text("\n".join(LINES) + last, encoding="utf-8")
    ended = run("encode", "-t", folder / family, "a.txt")

    assert ended.code == 0, ended.err
    rows = [[int(number) for number in line.split()] for line in ended.out.split("\n")[:-1]]
    assert rows == expected(folder / family, LINES)
    assert "[]" in str(rows)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_of_windows_line_ends_nothing_is_encoded_and_other_returns_stay(run, folder, family):
    Path("a.txt").write_bytes(b"Ba ke\r\n\r\nlo\rmi\r\nra\r")
    ended = run("encode", "-t", folder / family, "a.txt", "--to", "jsonl")
    unix = ["Ba ke", "", "lo\rmi", "ra\r" if family == "bert" else "ra"]

    assert records(ended) == expected(folder / family, unix)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_row_of_a_table_is_one_row(run, folder, name):
    table = pa.table({"body": LINES})
    if name == "a.parquet":
        pq.write_table(table, name, row_group_size=3)
    else:
        with pa.ipc.new_file(name, table.schema) as sink:
            sink.write_table(table)
    ended = run("encode", "-t", folder / "bert", name, "--text-field", "body", "--to", "jsonl")

    assert records(ended) == expected(folder / "bert", LINES)


def test_a_record_is_one_row_with_its_newlines(run, folder):
    texts = ["Ba\nke", "", " ", "lo\r\n"]
    lines = [json.dumps({"body": text, "id": 1}) for text in texts]
    Path("a.jsonl").write_text("\n".join([*lines[:2], "", *lines[2:]]))
    ended = run("encode", "-t", folder / "gpt2", "a.jsonl", "--text-field", "body", "--to", "jsonl")

    assert records(ended) == expected(folder / "gpt2", texts)
    assert [len(row) > 0 for row in records(ended)] == [True, False, True, True]


def test_files_follow_one_another_whatever_they_are(run, folder):
    Path("a.txt").write_text("Ba ke")
    Path("b.txt.gz").write_bytes(gzip.compress(b"\xef\xbb\xbflo\n"))
    Path("c.jsonl").write_text('{"text": "mi"}')
    ended = run("encode", "-t", folder / "bert", "[ab].txt*", "c.jsonl", "--to", "jsonl")

    assert records(ended) == expected(folder / "bert", ["Ba ke", "lo", "mi"])


def test_numpy_and_arrow_hold_the_same_rows_and_where_words_start(run, folder):
    corpus = folder / "corpus.txt"
    rows = records(run("encode", "-t", folder / "bert", corpus, "--to", "jsonl"))
    to_npz = run("encode", "-t", folder / "bert", corpus, "-o", "a.npz")
    to_arrow = run("encode", "-t", folder / "bert", corpus, "-o", "a.arrow")

    assert to_npz.code == to_arrow.code == 0
    assert f"a.npz: {len(rows):,} rows, {sum(map(len, rows)):,} tokens" in to_npz.err
    arrays = np.load("a.npz")
    ids, starts, offsets = (arrays[name] for name in ("ids", "word_start", "offsets"))
    assert (ids.dtype, starts.dtype, offsets.dtype) == (np.int32, np.bool_, np.int64)
    bounds = list(pairwise(offsets))
    assert [ids[a:b].tolist() for a, b in bounds] == rows
    library = Tokenizer.from_file(str(folder / "bert" / "tokenizer.json"))
    continues = [library.id_to_token(i).startswith("##") for i in ids.tolist()]
    assert starts.tolist() == [not inside for inside in continues]
    with pa.OSFile("a.arrow") as file:
        table = pa.ipc.open_stream(file).read_all()
    assert table["input_ids"].to_pylist() == rows
    assert table["word_start"].to_pylist() == [starts[a:b].tolist() for a, b in bounds]
    assert table.schema.field("input_ids").type == pa.list_(pa.uint16())
    assert datasets.Dataset.from_file("a.arrow")[0]["input_ids"] == rows[0]


@pytest.mark.parametrize("to", ["text", "jsonl", "npz", "arrow"])
def test_an_empty_file_gives_no_rows(run, folder, to):
    Path("a.txt").touch()
    ended = run("encode", "-t", folder / "bert", "a.txt", "-o", f"a.{to}", "--to", to)

    assert ended.code == 0
    assert f"a.{to}: 0 rows, 0 tokens" in ended.err
    if to == "npz":
        assert [len(a) for a in np.load("a.npz").values()] == [0, 0, 1]


def test_standard_input_goes_to_standard_output(lmprep, folder):
    text = "\n".join(LINES).encode()
    done = lmprep("encode", "-t", folder / "bert", stdin=text)
    named = lmprep("encode", "-t", folder / "bert", "-", "--to", "jsonl", stdin=text)

    assert done.returncode == named.returncode == 0, done.stderr + named.stderr
    rows = [json.loads(line)["ids"] for line in named.stdout.splitlines()]
    assert rows == expected(folder / "bert", LINES)
    assert [line.split() for line in done.stdout.split("\n")[:-1]] == [
        list(map(str, row)) for row in rows
    ]
    assert "rows" not in done.stderr


@pytest.mark.parametrize("to", ["text", "arrow"])
def test_a_reader_that_has_enough_ends_it_quietly(folder, tmp_path, to):
    large = tmp_path / "large.txt"
    large.write_bytes((folder / "corpus.txt").read_bytes() * 400)
    done = subprocess.run(
        f"{sys.executable} -m lmprep encode -t {folder / 'bert'} {large} --to {to} | head -c 100 "
        "> /dev/null; echo ${PIPESTATUS[0]}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "0\n"
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
def test_memory_does_not_grow_with_the_input(folder, tmp_path):
    code = (
        "import sys; from lmprep.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*open('/proc/self/status'), file=sys.stderr)"
    )
    text, peaks = (folder / "corpus.txt").read_bytes(), []
    for size in (10_000_000, 40_000_000):
        (tmp_path / "large.txt").write_bytes(text * (size // len(text)))
        encode = ["encode", "-t", str(folder / "bert"), "large.txt", "--to", "arrow"]
        done = subprocess.run(
            [sys.executable, "-c", code, *encode],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
        peaks.append(int(done.stderr.split("VmHWM:")[1].split()[0]))

    assert peaks[1] - peaks[0] < 20_000  # kB


def test_an_interrupted_file_is_not_there(folder, tmp_path):
    process = subprocess.Popen(
        [*LMPREP, "encode", "-t", str(folder / "bert"), "-", "-o", "ids.txt"],
        cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".ids.txt.*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert err.decode().splitlines()[-1].startswith("Interrupted. ")
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def refused(ended, code: int, *words: str) -> None:
    """One line on stderr with these words, nothing on stdout."""
    lines = [line for line in ended.err.splitlines() if not line.startswith("Compiling")]
    assert ended.code == code, ended
    assert ended.out == ""
    assert len(lines) == 1, ended.err
    for word in ("Error: ", *words):
        assert word in lines[0]


def test_bad_input_is_named_with_its_line_and_leaves_no_file(run, folder):
    Path("a.txt").write_bytes(b"Ba ke\nlo \xff\n")
    Path("a.jsonl").write_text('{"text": "Ba"}\n\n{"body": "ke"}\n')
    Path("b.jsonl").write_text('{"text": 7}\n')
    Path("wide.txt").write_bytes("Ba ke lo mi nu\n".encode("utf-16"))
    Path("cut.txt.gz").write_bytes(gzip.compress(b"Ba ke\n" * 100)[:-9])
    tokenizer = ("-t", folder / "bert")

    for name, *words in (
        ("a.txt", "a.txt:2", "0xFF", "iconv"),
        ("a.jsonl", "a.jsonl:3", "no field 'text'", "--text-field"),
        ("b.jsonl", "b.jsonl:1", "a number in field 'text'"),
        ("wide.txt", "UTF-16LE", "iconv"),
        ("cut.txt.gz", "cut.txt.gz", "cut off"),
    ):
        refused(run("encode", *tokenizer, name, "-o", "out.txt"), 1, *words)
    assert not [path for path in Path().iterdir() if "out" in path.name]


def test_wrong_usage_is_found_before_any_work(run, folder):
    Path("a.txt").write_text("Ba ke\n")
    os.symlink("a.txt", "link.txt")
    Path("sub").mkdir()
    a = ("encode", "-t", folder / "bert", "a.txt")

    refused(run("encode", "-t", folder / "bert", "none.txt"), 2, "none.txt", "no such file")
    refused(run("encode", "-t", "tok", "a.txt"), 2, "tok", "no such tokenizer")
    refused(run(*a, "--text-field", "body"), 2, "--text-field body")
    refused(run(*a, "-o", "sub"), 2, "sub: is a folder")
    refused(run(*a, "-o", "nowhere/ids.txt"), 2, "folder does not exist")
    refused(run(*a, "-o", "a.txt"), 2, "a.txt: is one of the inputs")
    refused(run(*a, "-o", "link.txt"), 2, "link.txt: is one of the inputs")
    refused(run(*a, "-o", "/dev/null"), 2, "/dev/null: is not a regular file")
    assert Path("a.txt").read_text() == "Ba ke\n"


def test_arrays_are_not_for_a_terminal(folder, tmp_path):
    (tmp_path / "a.txt").write_text("Ba ke\n")
    primary, secondary = os.openpty()
    done = subprocess.run(
        [*LMPREP, "encode", "-t", str(folder / "bert"), "a.txt", "--to", "npz"],
        cwd=tmp_path, stdout=secondary, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(secondary)
    os.close(primary)

    assert done.returncode == 2
    assert "not for a terminal. Name a file with -o" in done.stderr


def test_a_file_that_is_there_is_replaced_whole(run, folder):
    Path("a.txt").write_text("Ba ke\n")
    Path("ids.jsonl").write_text("old\n")
    ended = run("encode", "-t", folder / "bert", "a.txt", "-o", "ids.jsonl")

    assert ended.out == ""
    assert json.loads(Path("ids.jsonl").read_text()) == {
        "ids": expected(folder / "bert", ["Ba ke"])[0]
    }
