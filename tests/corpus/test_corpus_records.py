import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_corpus import (
    block_bytes,
    documents_of_records,
    partitions_of,
    read,
    texts,
    written,
)

from lmprep.corpus import CorpusSettings, expand
from lmprep.errors import InputError


def failure(tmp_path, line, **settings):
    path = written(tmp_path, "a.jsonl", b'{"text": "good", "body": "good"}\n\n' + line + b"\n")
    with pytest.raises(InputError) as caught:
        read(path, **settings)
    return str(caught.value).replace(str(tmp_path) + "/", "")


def test_the_text_of_each_record_is_a_document_as_it_is(tmp_path):
    data = b'{"id": 1, "text": " One.\\r\\n\\nTwo. "}\r\n\n  \n{"text": "\\ud83d\\ude00"}'
    assert read(written(tmp_path, "a.jsonl", data)) == [" One.\r\n\nTwo. ", "😀"]


def test_the_text_may_be_in_another_field_and_the_last_of_a_name_counts(tmp_path):
    path = written(tmp_path, "a.jsonl", b'{"text": 1, "body": "a", "body": "b"}\n')
    assert read(path, text_field="body") == ["b"]


def test_other_fields_may_hold_anything(tmp_path):
    path = written(tmp_path, "a.jsonl", b'{"meta": [NaN, {"text": 1}], "text": "a"}\n')
    assert read(path) == ["a"]


def test_line_separators_of_unicode_do_not_end_a_record(tmp_path):
    path = written(tmp_path, "a.jsonl", '{"text": "a\u2028b\x85c"}\n'.encode())
    assert read(path) == ["a\u2028b\x85c"]


def test_empty_texts_are_left_out_and_counted(tmp_path):
    lines = [json.dumps({"text": text}) for text in ("", "a", " \n\t", "b")]
    path = written(tmp_path, "a.jsonl", "\n".join(lines).encode())
    (partition,) = partitions_of(expand([str(path)]), CorpusSettings())
    assert texts(partition) == ["a", "b"]
    assert partition.drops == {"empty_documents": 2}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b'{"text": "cut', "is not valid JSON: Unterminated string starting at column 10"),
        (b"{'text': 'a'}", "is not valid JSON: Expecting property name"),
        (b'{"text": "a"} {"text": "b"}', "is not valid JSON: Extra data at column 15"),
        (b'{"text": "raw\ttab"}', "is not valid JSON: Invalid control character at column 14"),
        (b'["a"]', "is a list, not an object"),
        (b'"a"', "is a string, not an object"),
        (b"null", "is null, not an object"),
        (b'{"text": null}', "has null in field 'text', not a string"),
        (b'{"text": 17}', "has a number in field 'text', not a string"),
        (b'{"text": true}', "has true or false in field 'text', not a string"),
        (b'{"text": ["a"]}', "has a list in field 'text', not a string"),
        (b'{"text": {}}', "has an object in field 'text', not a string"),
        (b'{"text": "a\\ud800"}', "has half of a surrogate pair, \\ud800, which is no character"),
        (b'{"n": ' + b"[" * 100_000 + b'], "text": "a"}', "is nested too deeply to be read"),
    ],
)
def test_a_record_that_is_none_is_named_with_its_line(tmp_path, line, what):
    message = failure(tmp_path, line)
    assert message.startswith(f"a.jsonl:3: the record {what}")
    assert 'Each line must be an object with a text: {"text": "..."}.' in message


def test_a_missing_field_names_those_there_are_and_the_flag(tmp_path):
    assert failure(tmp_path, b'{"title": "a", "body": "b"}') == (
        "a.jsonl:3: the record has no field 'text'; its fields: 'body', 'title'. "
        "Name the one that holds the text with --text-field."
    )
    assert "its fields: none" in failure(tmp_path, b"{}", text_field="body")


def test_a_number_too_long_for_python_is_a_bad_record_and_no_crash(tmp_path):
    line = b'{"text": "a", "n": ' + b"1" * 5000 + b"}"
    assert failure(tmp_path, line).startswith("a.jsonl:3: the record ")


def test_in_a_range_of_a_file_the_line_is_still_counted_from_its_start(tmp_path):
    path = written(tmp_path, "a.jsonl", b'{"text": "a"}\n' * 9 + b"null\n")
    with block_bytes(5), pytest.raises(InputError, match=r"a\.jsonl:10: the record is null"):
        read(path, partition_bytes=20)


RECORDS = st.lists(
    st.builds(
        lambda text, ascii, end: json.dumps({"text": text}, ensure_ascii=ascii).encode() + end,
        st.text("aé😀 \n", max_size=9),
        st.booleans(),
        st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n \n"]),
    )
)


@given(RECORDS, st.integers(1, 80), st.integers(1, 30), st.booleans())
def test_reading_equals_the_slow_reader(tmp_path_factory, records, size, block, compressed):
    data = b"".join(records)
    name = "a.jsonl.gz" if compressed else "a.jsonl"
    path = written(tmp_path_factory.mktemp("records"), name, data)
    with block_bytes(block):
        assert read(path, partition_bytes=size) == documents_of_records(data)
