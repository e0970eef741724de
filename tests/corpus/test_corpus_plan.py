from itertools import chain
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_corpus import documents_of_records, documents_of_text, written

from lmprep.corpus import CorpusSettings, InputFile, Part, expand, plan_sources
from lmprep.corpus import plan as plan_module
from lmprep.errors import InputError, UsageError

BLANK = CorpusSettings()
LINE = CorpusSettings(documents="line")


def planned(path, size, settings=BLANK):
    return plan_sources(expand([str(path)]), settings, size)


def ranges(path, size, settings=BLANK):
    return [(p.start, p.stop) for s in planned(path, size, settings) for p in s.parts]


def ghost(name, size, format="txt", compression=""):
    """A file that planning must not open."""
    return InputFile(path=name, name=name, format=format, compression=compression, bytes=size)


def groups(inputs, size):
    return [[p.file.name for p in s.parts] for s in plan_sources(inputs, BLANK, size)]


def test_a_file_that_fits_is_one_source(tmp_path):
    path = written(tmp_path, "a.txt", b"one\n\ntwo\n")
    (source,) = planned(path, 9)
    assert source.index == 0
    assert source.parts == (Part(file=expand([str(path)])[0], start=0, stop=None),)


def test_text_is_cut_where_a_document_starts(tmp_path):
    #                                        0     5     10    15    20    25
    path = written(tmp_path, "a.txt", b"1111\n2222\n\n4444\n\n6666\n\n8888\n")
    assert ranges(path, 12) == [(0, 17), (17, None)]


def test_lines_are_cut_where_a_line_starts(tmp_path):
    path = written(tmp_path, "a.txt", b"1\n\n3\n4\n5\n6\n7\n")
    assert ranges(path, 4, LINE) == [(0, 5), (5, 9), (9, None)]


def test_records_are_cut_where_a_line_starts(tmp_path):
    path = written(tmp_path, "a.jsonl", b'{"text": "a"}\n' * 6)
    assert ranges(path, 20) == [(0, 28), (28, 56), (56, None)]


def test_lines_that_end_in_carriage_returns_are_cut_alike(tmp_path):
    path = written(tmp_path, "a.txt", b"11\r\n\r\n22\r\n\r\n33\r\n\r\n44\r\n")
    assert ranges(path, 8) == [(0, 12), (12, None)]


def test_a_last_document_is_not_left_alone(tmp_path):
    path = written(tmp_path, "a.txt", b"1\n\n2\n\n3\n\n4\n\n" + b"5" * 50)
    assert ranges(path, 8) == [(0, 9), (9, None)]


def test_a_first_document_is_not_left_alone(tmp_path):
    path = written(tmp_path, "a.txt", b"1" * 50 + b"\n\n2\n\n3\n\n4\n")
    assert ranges(path, 8) == [(0, 55), (55, None)]


def test_a_byte_order_mark_on_an_empty_line_is_no_document(tmp_path):
    data = b"\xef\xbb\xbf\n\n" + b"1" * 20 + b"\n\n2\n\n3\n\n4\n"
    assert ranges(written(tmp_path, "a.txt", data), 8) == [(0, 30), (30, None)]


def test_a_file_of_one_document_or_one_per_file_is_not_cut(tmp_path):
    one = written(tmp_path, "one.txt", b"line\n" * 100)
    many = written(tmp_path, "many.txt", b"line\n\n" * 100)
    assert ranges(one, 50) == [(0, None)]
    assert ranges(many, 50, CorpusSettings(documents="file")) == [(0, None)]


def test_compressed_files_and_stdin_are_one_source_each(tmp_path):
    path = written(tmp_path, "a.txt.gz", b"line\n\n" * 100)
    sources = plan_sources(expand([str(path), "-"]), BLANK, 4)
    assert [[p.file.path for p in s.parts] for s in sources] == [[str(path)], ["-"]]


def test_small_neighbours_share_a_source_up_to_the_partition_size():
    inputs = [ghost("a", 4), ghost("b", 6, compression="gz"), ghost("c", 1), ghost("d", 9)]
    assert groups(inputs, 10) == [["a", "b"], ["c", "d"]]


def test_files_of_another_format_big_files_and_stdin_end_a_group():
    big = ghost("big", 99, compression="gz")
    stdin = InputFile(path="-", name="-", format="txt")
    inputs = [ghost("a", 1), ghost("b", 1, "jsonl"), big, ghost("c", 1), stdin, ghost("d", 0)]
    assert groups(inputs, 10) == [["a"], ["b"], ["big"], ["c"], ["-"], ["d"]]


def test_empty_files_join_their_neighbours():
    assert groups([ghost("a", 10), ghost("b", 0), ghost("c", 0)], 10) == [["a", "b", "c"]]


def test_settings_that_apply_to_no_input_are_refused():
    with pytest.raises(UsageError, match="--documents line is for text files"):
        plan_sources([ghost("a", 1, "jsonl")], LINE, 10)
    with pytest.raises(UsageError, match="--text-field body is for records"):
        plan_sources([ghost("a", 1)], CorpusSettings(text_field="body"), 10)
    plan_sources([ghost("a", 1), ghost("b", 1, "jsonl")], LINE, 10)


def test_a_document_too_long_to_hold_is_found_while_planning(tmp_path):
    path = written(tmp_path, "a.txt", b"line\n" * 100)
    with (
        mock.patch.object(plan_module, "DOCUMENT_LIMIT", 300),
        pytest.raises(InputError, match=r"longer than 300 bytes.*--documents line"),
    ):
        planned(path, 50)


def test_only_blocks_around_the_cuts_are_read(tmp_path):
    path = written(tmp_path, "a.txt", (b"x" * 997 + b"\n\n\n") * 10_000)
    size = 1_000_000
    with path.open("rb") as handle, mock.patch.object(plan_module, "open", create=True) as opened:
        opened.return_value.__enter__.return_value = mock.Mock(wraps=handle)
        sources = planned(path, size)
        lines_read = opened.return_value.__enter__.return_value.readline.call_count
    assert len(sources) == 10
    assert lines_read < 200


LINES = st.lists(st.sampled_from([b"", b" ", b"a", b"bb ", "é\u2028".encode(), b"\r", b"ccc\r"]))


@given(LINES, st.sampled_from(["blank", "line"]), st.integers(1, 20), st.booleans(), st.booleans())
def test_each_range_starts_at_a_record_and_holds_two(
    tmp_path_factory, lines, documents, size, final, mark
):
    data = b"\xef\xbb\xbf" * mark + b"\n".join(lines) + b"\n" * final
    path = written(tmp_path_factory.mktemp("plan"), "a.txt", data)
    found = ranges(path, size, CorpusSettings(documents=documents))
    in_ranges = [documents_of_text(data[start:stop], documents) for start, stop in found]
    assert list(chain.from_iterable(in_ranges)) == documents_of_text(data, documents)
    if len(found) > 1:
        assert min(len(d) for d in in_ranges) >= 2
        assert all(b - a >= size for a, b in found[:-1])


@given(st.lists(st.sampled_from([b"", b" \r", b'{"text": "x"}', b'{"text": "longer"}\r'])))
def test_each_range_of_records_holds_two(tmp_path_factory, lines):
    data = b"\n".join(lines)
    path = written(tmp_path_factory.mktemp("plan"), "a.jsonl", data)
    in_ranges = [documents_of_records(data[a:b]) for a, b in ranges(path, 20)]
    assert list(chain.from_iterable(in_ranges)) == documents_of_records(data)
    assert len(in_ranges) == 1 or min(len(d) for d in in_ranges) >= 2


def test_a_partition_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match="partition_bytes 0"):
        plan_sources([], BLANK, 0)
