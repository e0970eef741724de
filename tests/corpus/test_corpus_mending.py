"""Text that is not UTF-8 and records without a text: refused, mended or left out, and counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_corpus import SHARED, block_bytes, needs_shared, partitions_of, read, texts, written

from lmprep.corpus import CorpusSettings, expand
from lmprep.errors import InputError

BROKEN = b"Good.\nBad \xff here.\n\nNext \xe2\x82 one.\nLast."
DAMAGED = SHARED / "adversarial" / "derived"


def partitions(path, **settings):
    corpus = CorpusSettings(**settings)
    return list(partitions_of(expand([str(path)], format=corpus.format), corpus, 1 << 20))


def test_text_that_is_not_utf8_is_refused_with_its_place(tmp_path):
    with pytest.raises(
        InputError, match=r"a\.txt:2: byte 0xFF \(byte 5 of the line\) is not UTF-8"
    ):
        read(written(tmp_path, "a.txt", BROKEN))


def test_malformed_sequences_can_be_replaced_and_are_counted(tmp_path):
    path = written(tmp_path, "a.txt", BROKEN)
    (partition,) = partitions(path, encoding_errors="replace")

    assert texts(partition) == ["Good.\nBad \ufffd here.", "Next \ufffd one.\nLast."]
    assert partition.drops == {}
    assert partition.warnings == (f"{path}: 2 malformed sequences became U+FFFD",)


def test_lines_that_are_not_utf8_can_be_left_out_and_are_counted(tmp_path):
    path = written(tmp_path, "a.txt", BROKEN)
    (partition,) = partitions(path, encoding_errors="skip")

    assert texts(partition) == ["Good.", "Last."]
    assert partition.drops == {"lines_not_utf8": 2}
    assert partition.warnings == (f"{path}: 2 lines that are not UTF-8 were left out",)


def test_a_replacement_character_of_the_text_itself_is_not_counted(tmp_path):
    path = written(tmp_path, "a.txt", "a \ufffd b".encode() + b" \xff\n")
    (partition,) = partitions(path, encoding_errors="replace")

    assert texts(partition) == ["a \ufffd b \ufffd"]
    assert partition.warnings == (f"{path}: 1 malformed sequences became U+FFFD",)


def test_utf16_is_refused_whatever_is_allowed(tmp_path):
    path = written(tmp_path, "a.txt", "some text".encode("utf-16"))
    for policy in ("error", "replace", "skip"):
        with pytest.raises(InputError, match="is UTF-16LE text, not UTF-8"):
            read(path, encoding_errors=policy)


@given(data=st.lists(st.binary(max_size=12), max_size=8), size=st.integers(1, 9))
def test_what_is_left_is_what_python_would_decode(tmp_path_factory, data, size):
    lines = [line.replace(b"\n", b" ").replace(b"\0", b"0") + b"x" for line in data]
    path = written(tmp_path_factory.mktemp("text"), "a.txt", b"y" * 20 + b"\n" + b"\n".join(lines))
    replaced = [line.decode(errors="replace") for line in lines]
    valid = [line.decode() for line in lines if line.decode(errors="ignore").encode() == line]

    with block_bytes(size):
        assert read(path, encoding_errors="replace", documents="line")[1:] == stripped(replaced)
        assert read(path, encoding_errors="skip", documents="line")[1:] == stripped(valid)


def stripped(lines):
    return [line.rstrip(" \t\r\n\x0b\x0c") for line in lines]


def test_bad_records_are_left_out_counted_and_the_first_three_named(tmp_path):
    records = ['{"text": "One."}', "[]", "", '{"text": 3}', "{", '{"body": ""}', '{"text": "Two."}']
    path = written(tmp_path, "a.jsonl", "\n".join(records).encode())
    (partition,) = partitions(path, on_error="skip")

    assert texts(partition) == ["One.", "Two."]
    assert partition.drops == {"bad_records": 4}
    (warning,) = partition.warnings
    assert warning.startswith(f"{path}: 4 bad records were left out (line 2: the record is a list")
    assert "; line 4: the record has a number in field 'text', not a string; line 5:" in warning
    assert warning.endswith("; ...)")
    assert "line 6" not in warning


def test_a_skipped_line_does_not_shift_the_numbers_of_records(tmp_path):
    path = written(tmp_path, "a.jsonl", b'{"text": "\xff"}\n{"text": "One."}\n[]\n')
    (partition,) = partitions(path, on_error="skip", encoding_errors="skip")

    assert texts(partition) == ["One."]
    assert partition.drops == {"lines_not_utf8": 1, "bad_records": 1}
    assert "(line 3: the record is a list" in partition.warnings[1]


@needs_shared
def test_the_damaged_text_of_the_collection_is_mended():
    path = DAMAGED / "invalid_utf8.bin"
    text = "\n".join(read(path, format="txt", encoding_errors="replace"))
    skipped = partitions(path, format="txt", encoding_errors="skip")

    assert text.count("\ufffd") == 133
    assert sum(p.drops["lines_not_utf8"] for p in skipped) > 30


@needs_shared
def test_the_good_records_of_the_malformed_ones_are_kept():
    (partition,) = partitions(DAMAGED / "malformed.jsonl", on_error="skip")

    assert len(partition) >= 100
    assert partition.drops["bad_records"] + partition.drops["empty_documents"] <= 22
