import os

import pytest

from lmprep.corpus import InputFile, expand
from lmprep.errors import UsageError


@pytest.fixture
def books(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.txt", "a.txt", "deep/er/c.txt", "x.jsonl.gz", "odd.bin"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    return tmp_path


def names(arguments, **options):
    return [file.path for file in expand(arguments, **options)]


def test_a_file_is_described_by_its_suffixes_and_its_size(books):
    assert expand(["x.jsonl.gz"]) == [
        InputFile(path="x.jsonl.gz", name="x.jsonl.gz", format="jsonl", compression="gz", bytes=5)
    ]


@pytest.mark.parametrize(
    ("name", "format", "compression"),
    [
        ("a.txt", "txt", ""),
        ("a.TXT.GZ", "txt", "gz"),
        ("a.json", "jsonl", ""),
        ("a.v1.2.jsonl", "jsonl", ""),
    ],
)
def test_suffixes_say_format_and_codec(tmp_path, name, format, compression):
    (tmp_path / name).touch()
    (found,) = expand([str(tmp_path / name)])
    assert (found.format, found.compression) == (format, compression)


def test_a_given_format_wins_over_the_suffix_and_leaves_the_codec(books):
    jsonl = expand(["a.txt", "x.jsonl.gz", "odd.bin"], format="jsonl")
    assert [f.format for f in jsonl] == ["jsonl"] * 3
    assert [f.compression for f in jsonl] == ["", "gz", ""]


def test_globs_are_sorted_and_arguments_keep_their_order(books):
    assert names(["x*", "?.txt"]) == ["x.jsonl.gz", "a.txt", "b.txt"]


def test_two_stars_go_down_folders(books):
    assert names(["**/*.txt"]) == ["a.txt", "b.txt", "deep/er/c.txt"]


def test_a_file_whose_name_looks_like_a_glob_is_taken_as_it_is(books):
    (books / "a[1].txt").touch()
    assert names(["a[1].txt"]) == ["a[1].txt"]


def test_a_glob_passes_over_folders(books):
    (books / "folder.txt").mkdir()
    assert names(["*.txt"]) == ["a.txt", "b.txt"]


def test_stdin_is_text_unless_another_format_is_given():
    assert expand(["-"]) == [InputFile(path="-", name="-", format="txt")]
    assert expand(["-"], format="jsonl")[0].format == "jsonl"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.txt"], "missing.txt: no such file. Check the path."),
        (["*.csv"], "*.csv: no file matches this pattern."),
        (["deep"], "deep: is a folder. Name the files in it: deep/*.txt."),
        (
            ["odd.bin"],
            "odd.bin: suffix '.bin' says no format. Known are .txt, .jsonl, .json, .parquet, ",
        ),
        (["-", "a.txt", "-"], "stdin (-) is given twice."),
        (["a.txt", "*.txt"], "a.txt: is given twice. Name each input file once."),
        (["a.txt", "./a.txt"], "./a.txt: is the same file as a.txt."),
    ],
)
def test_wrong_arguments_are_named_with_their_fix(books, arguments, message):
    with pytest.raises(UsageError) as caught:
        expand(arguments)
    assert message in str(caught.value)


def test_an_unknown_suffix_is_pointed_to_the_format_flag(books):
    (books / "README").touch()
    with pytest.raises(UsageError, match=r"no suffix that says its format.*--format txt\|jsonl"):
        expand(["README"])


def test_a_link_to_a_file_already_named_is_found_out(books):
    os.symlink("a.txt", "link.txt")
    with pytest.raises(UsageError, match="same file"):
        expand(["a.txt", "link.txt"])


def test_a_pipe_is_refused_because_it_can_be_read_only_once(books):
    os.mkfifo("pipe.txt")
    with pytest.raises(UsageError, match="Pipe its data to -"):
        expand(["pipe.txt"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_found_before_any_work(books):
    (books / "a.txt").chmod(0)
    with pytest.raises(UsageError, match="may not be read"):
        expand(["a.txt"])


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="format is 'csv'"):
        expand(["-"], format="csv")
