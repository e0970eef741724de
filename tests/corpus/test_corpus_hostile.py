"""Files that are odd on purpose, from the data folder beside the project; skipped without it."""

import gzip

import pytest
from slow_corpus import (
    SHARED,
    block_bytes,
    documents_of_records,
    documents_of_text,
    needs_shared,
    partitions_of,
    read,
    texts,
    written,
)

from lmprep.corpus import CorpusSettings, expand, split_sentences
from lmprep.errors import InputError

pytestmark = needs_shared
HOSTILE = SHARED / "adversarial"
DERIVED = HOSTILE / "derived"


def unpacked(path):
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


@pytest.mark.parametrize("documents", ["blank", "line", "file"])
@pytest.mark.parametrize(
    "path",
    [
        "all_printable_code_points.txt.gz",
        "blns.txt",
        "bmp_with_controls_and_unassigned.txt.gz",
        "bom_crlf_novel.txt.gz",
        "derived/empty.txt",
        "derived/long_line.txt.gz",
        "derived/mixed_line_ends.txt",
        "derived/nfd.txt",
        "derived/no_final_newline.txt",
        "derived/no_spaces.txt.gz",
        "derived/nul_bytes.txt",
        "derived/only_newlines.txt",
        "derived/only_spaces.txt",
        "derived/repeats.txt.gz",
        "derived/two_members.txt.gz",
        "derived/zero_width_and_bidi.txt",
    ],
)
def test_odd_text_is_read_as_the_slow_reader_reads_it(path, documents):
    expected = documents_of_text(unpacked(HOSTILE / path), documents)
    assert read(HOSTILE / path, documents=documents) == expected
    with block_bytes(1009):
        assert read(HOSTILE / path, partition_bytes=10_000, documents=documents) == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("invalid_utf8.bin", "byte 0x"),
        ("not_gzip.txt.gz", "is not gzip data"),
        ("truncated.txt.gz", "the file is cut off"),
        ("utf16be_bom.txt", "is UTF-16BE text"),
        ("utf16le_bom.txt", "is UTF-16LE text"),
        ("utf32le_bom.txt", "is UTF-32LE text"),
    ],
)
def test_files_that_are_not_text_are_refused(name, message):
    with pytest.raises(InputError, match=message):
        read(DERIVED / name, format="txt")


def test_text_in_other_encodings_is_refused_and_utf8_and_ascii_are_not():
    for path in sorted((HOSTILE / "encodings").iterdir()):
        try:
            path.read_bytes().decode()
        except UnicodeDecodeError:
            with pytest.raises(InputError, match="iconv"):
                read(path, format="txt")
        else:
            assert read(path, format="txt") == documents_of_text(path.read_bytes())


def test_each_bad_record_alone_is_an_error_with_its_line_and_each_good_one_is_read(tmp_path):
    lines = (DERIVED / "malformed.jsonl").read_bytes().split(b"\n")
    outcomes = []
    for line in lines:
        path = written(tmp_path, "a.jsonl", b"\n" + line)
        try:
            expected = documents_of_records(path.read_bytes())
            "".join(expected).encode()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            with pytest.raises(InputError, match=r"a\.jsonl:2: "):
                read(path)
            outcomes.append("bad")
        else:
            assert read(path) == expected
            outcomes.append("good")
    assert outcomes.count("bad") >= 14
    assert outcomes.count("good") >= 100


def test_a_json_array_is_refused_on_its_first_line():
    with pytest.raises(InputError, match=r"blns\.json:1: the record is not valid JSON"):
        read(HOSTILE / "blns.json")


def test_sentences_of_many_languages_cover_all_but_whitespace():
    path = SHARED / "multilingual" / "udhr.jsonl.gz"
    settings = CorpusSettings()
    found = partitions_of(expand([str(path)]), settings, 300_000)
    assert [text for p in found for text in texts(p)] == documents_of_records(unpacked(path))
    for partition in found:
        documents, drops = split_sentences(partition, settings)
        assert not drops
        kept = "".join(documents.text.tobytes().decode().split())
        assert kept == "".join("".join(texts(partition)).split())
