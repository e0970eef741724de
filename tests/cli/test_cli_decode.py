"""`lmprep decode`: ids to text, and byte-level BPE back to the bytes it was made of."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from tests.conftest import SHARED
from tests.corpora import make_tokenizer, write_corpus

LANGUAGES = ("ar", "de", "emoji-test", "fr", "hi", "ja", "ko", "ru", "th", "vi", "zh")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("decode")
    corpus = write_corpus(folder / "corpus.txt")
    make_tokenizer(corpus, folder / "bert")
    make_tokenizer(corpus, folder / "gpt2", family="gpt2")
    return folder


def token_ids(tokenizer: Path, *tokens: str) -> list[int]:
    library = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    return [library.token_to_id(token) for token in tokens]


def round_trip(tokenizer: Path, text: bytes, cwd: Path, form: str) -> bytes:
    (cwd / "in.txt").write_bytes(text)
    command = f"{sys.executable} -m lmprep"
    done = subprocess.run(
        f"{command} encode -t {tokenizer} in.txt --to {form} | {command} decode -t {tokenizer}",
        shell=True,
        cwd=cwd,
        capture_output=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("form", ["text", "jsonl"])
def test_a_byte_level_vocabulary_gives_every_byte_back(folder, tmp_path, form):
    hostile = (
        b"\x00 nul\n\n  two  spaces \n\t\x0b\x0c\n<|endoftext|>\n\xc2\x85next\n\xe2\x80\xa8line\n"
        b"a\rb\n\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80 \xef\xbf\xbd\n"
    )
    corpora = [
        gzip.decompress((SHARED / "multilingual" / f"{name}.txt.gz").read_bytes())
        for name in LANGUAGES
        if SHARED.exists()
    ]
    text = hostile + b"".join(t if t.endswith(b"\n") else t + b"\n" for t in corpora)

    assert round_trip(folder / "gpt2", text, tmp_path, form) == text


def test_both_forms_are_told_apart_and_empty_rows_stay(run, folder):
    ids = token_ids(folder / "bert", "b", "##a", "k")
    Path("a").write_text(f"\n{ids[0]} {ids[1]}\t{ids[2]}\r\n\n{ids[2]}")
    Path("b").write_text(f'\n\n{{"n": 1, "ids": {ids}}}\n\n{{"ids": []}}\n')
    numbers, records = (run("decode", "-t", folder / "bert", name) for name in "ab")

    assert (numbers.code, numbers.out) == (0, "\nba k\n\nk\n")
    assert (records.code, records.out) == (0, "ba k\n\n")


def test_the_format_can_be_said(run, folder):
    Path("a").write_text('{"ids": []}\n')
    ended = run("decode", "-t", folder / "bert", "a", "--format", "text")

    assert ended.code == 1
    assert 'Error: a:1: {"ids": is not an id.' in ended.err


def test_special_tokens_are_shown(run, folder):
    cls, piece, sep = token_ids(folder / "bert", "[CLS]", "b", "[SEP]")
    Path("a.jsonl").write_text(json.dumps({"ids": [cls, piece, sep]}))

    assert run("decode", "-t", folder / "bert", "a.jsonl").out == "[CLS] b [SEP]\n"


def test_newlines_in_a_text_are_kept_with_a_warning_and_escaped_in_json(run, folder):
    Path("a.jsonl").write_text('{"text": "ba\\nke"}\n{"text": "lo"}\n')
    run("encode", "-t", folder / "gpt2", "a.jsonl", "-o", "ids.txt")
    plain = run("decode", "-t", folder / "gpt2", "ids.txt")
    as_json = run("decode", "-t", folder / "gpt2", "ids.txt", "--to", "jsonl", "-o", "b.jsonl")

    assert plain.out == "ba\nke\nlo\n"
    assert "Warning: 1 of 2 rows hold newlines" in plain.err
    assert "--to jsonl" in plain.err
    assert "Warning" not in as_json.err
    assert "b.jsonl: 2 rows" in as_json.err
    assert Path("b.jsonl").read_text() == Path("a.jsonl").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 2\n\n3 x 4\n", ("a:3", "x is not an id", "lmprep encode")),
        ("1\n-2\n", ("a:2", "-2 is not an id")),
        ("1\n1 120\n", ("a:2", "id 120 is not in this vocabulary of 120 ids", "-t")),
        ("1 99999999999\n", ("a:1", "no vocabulary has an id 99999999999", "-t")),
        ('\n{"ids": [1]}\n\n{"ids": [1, 500]}\n', ("a:4", "id 500 is not in this vocabulary")),
        ('{"ids": [1]}\n{"ids": [true]}\n', ("a:2", "true is not an id")),
        ('{"ids": [1]}\n{"ids": [-1]}\n', ("a:2", "-1 is not an id")),
        ('{"ids": [1]}\n{"ids": [4294967296]}\n', ("a:2", "no vocabulary has an id 4294967296")),
        ('{"ids": [1]}\n{"id": [1]}\n', ("a:2", "no list in a field 'ids'")),
        ('{"ids": [1]}\n{"ids": [1]\n', ("a:2", "not valid JSON")),
        ('{"ids": ["1"]}\n', ("a:1", '"1" is not an id')),
    ],
)
def test_what_is_no_id_is_named_with_its_line(run, folder, text, words):
    Path("a").write_text(text)
    ended = run("decode", "-t", folder / "bert", "a", "-o", "out")

    assert ended.code == 1
    assert ended.out == ""
    for word in ("Error: ", *words):
        assert word in ended.err
    assert not Path("out").exists()


def test_ids_are_decoded_from_a_pipe_and_a_compressed_file(lmprep, folder, tmp_path):
    ids = " ".join(map(str, token_ids(folder / "bert", "b", "##a"))).encode()
    (tmp_path / "ids.txt.gz").write_bytes(gzip.compress(ids))
    piped = lmprep("decode", "-t", folder / "bert", stdin=ids)
    read = lmprep("decode", "-t", folder / "bert" / "tokenizer.json", "ids.txt.gz")

    assert piped.stdout == read.stdout == "ba\n"
    assert piped.returncode == read.returncode == 0


def test_a_file_that_is_missing_is_wrong_usage(run, folder):
    assert run("decode", "-t", folder / "bert", "none").code == 2
