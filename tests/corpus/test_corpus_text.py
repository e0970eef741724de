import gzip
import io
import sys
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_corpus import block_bytes, documents_of_text, partitions_of, read, texts, written

from lmprep.corpus import CorpusSettings, expand
from lmprep.corpus import blocks as blocks_module
from lmprep.corpus import text as text_module
from lmprep.errors import InputError

MODES = st.sampled_from(["blank", "line", "file"])


def golden(tmp_path, data, **settings):
    return read(written(tmp_path, "a.txt", data), **settings)


def failure(path, **settings):
    with pytest.raises(InputError) as caught:
        read(path, **settings)
    return str(caught.value).replace(str(path.parent) + "/", "")


def test_empty_lines_part_documents_and_lines_are_joined_by_newlines(tmp_path):
    data = b"\n \nOne.\nTwo.\n\t\n\nThree.\n"
    assert golden(tmp_path, data) == ["One.\nTwo.", "Three."]


def test_each_line_can_be_a_document(tmp_path):
    assert golden(tmp_path, b"One.\n\nTwo.\n", documents="line") == ["One.", "Two."]


def test_each_file_can_be_a_document_with_its_empty_lines(tmp_path):
    data = b"\n\nOne.\n \n\nTwo.\n\n"
    assert golden(tmp_path, data, documents="file") == ["One.\n\n\nTwo."]


def test_whitespace_goes_at_the_end_of_a_line_and_stays_at_its_start(tmp_path):
    assert golden(tmp_path, b"def f(): \t\r\n    pass\x0b\x0c\n") == ["def f():\n    pass"]


def test_other_line_separators_are_characters(tmp_path):
    text = "a\u2028b\x85c\x0bd\re"
    assert golden(tmp_path, text.encode()) == [text]


def test_a_byte_order_mark_is_removed_once_and_only_at_the_start(tmp_path):
    text = "\ufeffone\n\n\ufefftwo"
    assert golden(tmp_path, ("\ufeff" + text).encode()) == ["\ufeffone", "\ufefftwo"]


def test_nul_characters_are_kept(tmp_path):
    assert golden(tmp_path, b"a\0b\n\n\0\0\n") == ["a\0b", "\0\0"]


def test_the_end_of_a_file_ends_a_document(tmp_path):
    paths = [str(written(tmp_path, f"{n}.txt", f"file {n}".encode())) for n in (1, 2)]
    (partition,) = partitions_of(expand(paths), CorpusSettings())
    assert texts(partition) == ["file 1", "file 2"]


@given(st.text("aé€😀 \t\r\n\0\u3000", max_size=60), MODES, st.integers(1, 9), st.booleans())
def test_reading_equals_the_slow_reader(tmp_path_factory, text, documents, block, compressed):
    name = "a.txt.gz" if compressed else "a.txt"
    path = written(tmp_path_factory.mktemp("text"), name, text.encode())
    with block_bytes(block):
        found = read(path, documents=documents)
    assert found == documents_of_text(text.encode(), documents)


@given(st.binary(max_size=12), st.integers(1, 4))
def test_what_is_not_utf8_fails_and_what_is_does_not(tmp_path_factory, data, block):
    path = written(tmp_path_factory.mktemp("text"), "a.txt", b"x" * 9 + data)
    try:
        expected = documents_of_text(path.read_bytes())
    except UnicodeDecodeError as error:
        line = path.read_bytes().count(b"\n", 0, error.start) + 1
        with block_bytes(block), pytest.raises(InputError, match=rf"a\.txt:{line}: byte 0x"):
            read(path)
    else:
        with block_bytes(block):
            assert read(path) == expected


def test_a_wrong_byte_is_named_with_its_line_and_a_way_out(tmp_path):
    path = written(tmp_path, "latin.txt", "fine\nna\u00efve\n".encode("latin-1"))
    assert failure(path) == (
        "latin.txt:2: byte 0xEF (byte 3 of the line) is not UTF-8. Convert it from its encoding, "
        "for example: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW."
    )


def test_in_a_range_of_a_file_the_line_is_still_counted_from_its_start(tmp_path):
    path = written(tmp_path, "a.txt", b"one\n\ntwo\n\nthree\n\nfour\n\nfive\n\xff\n")
    with block_bytes(4):
        assert failure(path, partition_bytes=8).startswith("a.txt:10: byte 0xFF")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_other_unicode_encodings_are_recognised(tmp_path, encoding, mark):
    path = written(tmp_path, "a.txt", (mark + "Plain English text.\n").encode(encoding))
    name = encoding.upper().replace("-LE", "LE").replace("-BE", "BE")
    assert f"a.txt: is {name} text, not UTF-8." in failure(path)
    assert f"iconv -f {name} -t UTF-8" in failure(path)


def test_a_gzip_file_of_several_members_and_padding_is_read_whole(tmp_path):
    path = tmp_path / "a.txt.gz"
    members = gzip.compress(b"one\n\ntw") + gzip.compress(b"") + gzip.compress(b"o\n")
    path.write_bytes(members + b"\0" * 100)
    for size in (1, 2, 7, 50, 1 << 20):
        with block_bytes(size):
            assert read(path) == ["one", "two"]


def test_a_little_gzip_data_of_much_text_comes_in_blocks(tmp_path):
    path = written(tmp_path, "a.txt.gz", b"long line\n" * 100_000)
    (file,) = expand([str(path)])
    with block_bytes(1000):
        sizes = [len(b) for b in blocks_module.raw_blocks(blocks_module.Part(file=file))]
    assert sum(sizes) == 1_000_000
    assert max(sizes) <= 1000


def test_a_cut_off_gzip_file_says_so_and_where(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(bytes(range(97, 123)) * 100)[:-9])
    assert failure(path) == (
        "a.txt.gz: the gzip data ends too early: the file is cut off, 2600 bytes of text into it. "
        "Fetch or write it again; gzip -t a.txt.gz checks it."
    )


def test_a_damaged_gzip_file_says_so(tmp_path):
    data = bytearray(gzip.compress(b"text"))
    data[-8] ^= 1  # the checksum
    path = tmp_path / "a.txt.gz"
    path.write_bytes(data)
    assert "the gzip data is damaged (incorrect data check)" in failure(path)


def test_plain_text_and_trailing_text_are_no_gzip_data(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(b"plain text")
    assert failure(path).startswith("a.txt.gz: is not gzip data, as its name says.")
    path.write_bytes(gzip.compress(b"text") + b"more")
    assert "other data follows the gzip data" in failure(path)


def test_gzip_data_without_its_suffix_is_recognised(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(gzip.compress(b"text"))
    assert failure(path) == "a.txt: is compressed with gzip. Add .gz to its name."


def from_stdin(monkeypatch, data, **settings):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    chosen = CorpusSettings(**settings)
    parts = partitions_of(expand(["-"], format=chosen.format), chosen)
    return [text for partition in parts for text in texts(partition)]


def test_stdin_is_read_as_text_or_records(monkeypatch):
    assert from_stdin(monkeypatch, b"one\n\ntwo") == ["one", "two"]
    assert from_stdin(monkeypatch, b'{"text": "a\\n\\nb"}', format="jsonl") == ["a\n\nb"]


def test_errors_at_stdin_name_it(monkeypatch):
    with pytest.raises(InputError, match=r"^stdin:3: byte 0xFF"):
        from_stdin(monkeypatch, b"1\n2\n\xff")
    with pytest.raises(InputError, match=r"^stdin: is compressed with gzip\. .*gzip -dc FILE \|"):
        from_stdin(monkeypatch, gzip.compress(b"text"))


def warnings_of(tmp_path, data, **settings):
    path = written(tmp_path, "a.txt", data)
    found = partitions_of(expand([str(path)]), CorpusSettings(**settings))
    return [warning for partition in found for warning in partition.warnings]


def test_many_lines_in_one_document_are_suspicious(tmp_path):
    (warning,) = warnings_of(tmp_path, b"\n\n" + b"line\n" * 1000 + b"\n")
    assert "a.txt: 1000 lines without an empty line" in warning
    assert "--documents line" in warning
    assert "--documents file" in warning


def test_fewer_lines_two_documents_or_a_choice_are_not_suspicious(tmp_path):
    assert warnings_of(tmp_path, b"line\n" * 999) == []
    assert warnings_of(tmp_path, b"line\n" * 1000 + b"\nline\n") == []
    assert warnings_of(tmp_path, b"line\n" * 1000, documents="file") == []
    assert warnings_of(tmp_path, b"line\n" * 1000, documents="line") == []


def test_a_document_too_long_to_hold_is_refused(tmp_path):
    path = written(tmp_path, "a.txt", b"short\n\n" + b"line\n" * 20)
    with mock.patch.object(text_module, "DOCUMENT_LIMIT", 60), block_bytes(10):
        assert "longer than 60 bytes. Part documents by empty lines" in failure(path)
        assert len(read(path, documents="line")) == 21


def test_a_line_too_long_to_hold_is_refused(tmp_path):
    path = written(tmp_path, "a.txt", b"x" * 100)
    with mock.patch.object(blocks_module, "DOCUMENT_LIMIT", 60), block_bytes(10):
        assert "a line is longer than 60 bytes" in failure(path)


def test_a_file_that_vanished_or_shrank_since_planning_is_an_input_error(tmp_path):
    path = written(tmp_path, "a.txt", b"one\n\n" * 10)
    (file,) = expand([str(path)])
    path.write_bytes(b"one\n")
    with pytest.raises(InputError, match="became shorter"):
        list(blocks_module.raw_blocks(blocks_module.Part(file=file, start=0, stop=20)))
    path.unlink()
    with pytest.raises(InputError, match=r"a\.txt: cannot be read: No such file"):
        partitions_of([file], CorpusSettings())


def test_files_without_documents_yield_nothing(tmp_path):
    for data in (b"", b"\n" * 50, b" \t\r\n \n", b"\xef\xbb\xbf\n"):
        assert golden(tmp_path, data) == []
