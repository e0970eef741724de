"""Task files: every format, packed or not, and every fault with its file, line and fix."""

from __future__ import annotations

import bz2
import gzip
import lzma

import pyarrow as pa
import pytest

from lmprep.errors import InputError, UsageError
from lmprep.finetuning.examples import (
    check_labels,
    is_bio,
    read_choices,
    read_spans,
    read_texts,
    read_words,
)
from lmprep.finetuning.reading import read_records, read_sentences
from lmprep.finetuning.settings import FinetuneSettings

CLASSIFY, PAIR = FinetuneSettings(task="classify"), FinetuneSettings(task="pair")
CHOICE, TAG = FinetuneSettings(task="choice"), FinetuneSettings(task="tag")
SPAN = FinetuneSettings(task="span")
TABLE = "text\tlabel\nA film.\tgood\n\u2028 odd \u0085 one\tbad\n"


def zstandard(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


PACKERS = {
    "": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard,
}  # fmt: skip


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_table_is_read_packed_or_not(tmp_path, suffix):
    path = tmp_path / f"a.tsv{suffix}"
    path.write_bytes(PACKERS[suffix](TABLE.encode()))
    examples = read_texts(path, CLASSIFY)

    assert [e.label for e in examples] == ["good", "bad"]
    assert examples[1].texts == ("\u2028 odd \u0085 one",)
    assert [e.line for e in examples] == [2, 3]


def test_the_same_examples_come_out_of_every_format(tmp_path):
    (tmp_path / "a.tsv").write_text("\ufefftext\tother\tlabel\r\nSo, so\tx\t1\r\n\r\n")
    (tmp_path / "a.csv").write_text('other,text,label\nx,"So, so",1\n')
    (tmp_path / "a.jsonl").write_text('\n{"label": 1, "text": "So, so"}\n')
    found = [read_texts(tmp_path / f"a.{end}", CLASSIFY)[0] for end in ("tsv", "csv", "jsonl")]

    assert {(e.texts, e.label) for e in found} == {(("So, so",), "1")}


def test_a_cell_of_csv_may_have_several_lines_and_the_first_counts(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"a\nb",x\nc,y\n')

    assert [(r.line, r.values["text"]) for r in read_records(path, "csv")] == [
        (2, "a\nb"),
        (4, "c"),
    ]


@pytest.mark.parametrize("names", [("sentence1", "sentence2"), ("premise", "hypothesis")])
def test_columns_of_pairs_are_found_by_their_usual_names(tmp_path, names):
    path = tmp_path / "a.tsv"
    path.write_text("\t".join([*names, "label"]) + "\na b\tc\tyes\n")

    assert read_texts(path, PAIR)[0].texts == ("a b", "c")


def test_columns_of_other_names_are_named(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("x\ty\tstars\na\tb\t5\n")
    fields = {"text": "y", "second": "x", "label": "stars"}
    (example,) = read_texts(path, FinetuneSettings(task="pair", fields=fields))

    assert (example.texts, example.label) == (("b", "a"), "5")


def test_words_are_read_from_columns_and_from_json(tmp_path):
    conll, json = tmp_path / "a.conll", tmp_path / "a.jsonl"
    conll.write_text(
        "-DOCSTART- -X- O\n\n# a comment\nThe\tDT\tO\n#\tSYM\tB-X\n\n\nEnd\tNN\tO", encoding="utf-8"
    )
    json.write_text(
        '{"words": ["The", "#"], "tags": ["O", "B-X"]}\n{"tokens": ["End"], "tags": ["O"]}'
    )
    ours, theirs = read_words(conll, TAG), read_words(json, TAG)

    assert [(e.words, e.tags) for e in ours] == [(e.words, e.tags) for e in theirs]
    assert ours[0].lines == (4, 5)
    assert read_sentences(conll)[1].words == ("End",)


def test_columns_may_be_parted_by_spaces(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("a\u00a0b  O\n# B-X\n")

    assert read_words(path, TAG)[0].words == ("a\u00a0b", "#")


def test_spans_come_from_bio_labels_and_from_json(tmp_path):
    conll, json = tmp_path / "a.conll", tmp_path / "a.jsonl"
    conll.write_text("a\tB-X\nb\tI-X\nc\tB-X\nd\tI-Y\ne\tO\nf\tI-Y\n")
    json.write_text(
        '{"words": ["a", "b", "c", "d", "e", "f"], '
        '"spans": [[0, 1, "X"], [2, 2, "X"], [3, 3, "Y"], [5, 5, "Y"]]}'
    )

    assert read_spans(conll, SPAN)[0].spans == read_spans(json, SPAN)[0].spans
    assert read_spans(json, SPAN)[0].spans == ((0, 1, "X"), (2, 2, "X"), (3, 3, "Y"), (5, 5, "Y"))


def test_choices_are_a_list_or_columns(tmp_path):
    json, table = tmp_path / "a.jsonl", tmp_path / "a.tsv"
    json.write_text('{"context": "c", "choices": ["x", "y"], "label": 1}\n')
    table.write_text("context\tchoice1\tchoice2\tchoice3\tlabel\nc\tx\ty\t\t1\n")

    for found in (read_choices(json, CHOICE), read_choices(table, CHOICE)):
        assert [(e.context, e.choices, e.label) for e in found] == [("c", ("x", "y"), 1)]


FAULTS = [
    (CLASSIFY, "a.tsv", "text\tlabel\na\tb\nc\n", r"a.tsv:3: has 1 cells, the header 2 \(text"),
    (CLASSIFY, "a.tsv", "txt\tlabel\na\tb\n", r"a.tsv:1: has no text or .* Name it with --text-fi"),
    (CLASSIFY, "a.tsv", "text\ttext\tlabel\na\tb\tc\n", "a.tsv:1: has two columns of one name"),
    (CLASSIFY, "a.tsv", "text\tlabel\na\t\n", "a.tsv:2: has no label under 'label'"),
    (CLASSIFY, "a.tsv", "", "a.tsv: is empty. Give a header line"),
    (CLASSIFY, "a.csv", 'text,label\n"a"b,c\n', "a.csv:2: is not readable as CSV"),
    (CLASSIFY, "a.jsonl", '{"text": "a", "label": "b"}\n{', "a.jsonl:2: is not valid JSON"),
    (CLASSIFY, "a.jsonl", "[1]\n", "a.jsonl:1: is not a JSON object"),
    (CLASSIFY, "a.jsonl", '{"text": 1, "label": "b"}', "a.jsonl:1: has no text under 'text'"),
    (CLASSIFY, "a.jsonl", '{"text": "a", "label": null}', "a.jsonl:1: has no label under 'label'"),
    (TAG, "a.conll", "a\tO\nb\tX\tO\n", "a.conll:2: has 3 columns, the first line of words 2"),
    (TAG, "a.conll", "a\tO\n\nb\n", "a.conll:3: has 1 columns, the first line of words 2"),
    (TAG, "a.conll", "a\nb\n", "a.conll:1: has no column of labels"),
    (TAG, "a.conll", "a\tO\n\tO\n", "a.conll:2: has an empty word or label"),
    (TAG, "a.jsonl", '{"words": ["a"], "tags": ["O", "O"]}', "a.jsonl:1: has 1 words and 2 tags"),
    (SPAN, "a.conll", "a\tO\nb\tX\n", "a.conll:2: has the label 'X', which is none of B-X"),
    (SPAN, "a.jsonl", '{"words": ["a"], "spans": [[0, 1, "X"]]}', "a.jsonl:1: has no list of sp"),
    (CHOICE, "a.jsonl", '{"context": "a", "choices": ["b"], "label": 0}', "a.jsonl:1: has no list"),
    (
        CHOICE, "a.jsonl", '{"context": "a", "choices": ["b", "c"], "label": 2}',
        "a.jsonl:1: has the label '2', which is the number of none of 2 choices. Count",
    ),
]  # fmt: skip
READERS = {
    "classify": read_texts, "tag": read_words, "span": read_spans, "choice": read_choices,
}  # fmt: skip


@pytest.mark.parametrize(("settings", "name", "content", "message"), FAULTS)
def test_a_fault_is_told_with_its_file_line_and_fix(tmp_path, settings, name, content, message):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")

    with pytest.raises(InputError, match=message):
        READERS[settings.task](path, settings)


def test_bytes_that_are_no_utf8_and_cut_files_are_told(tmp_path):
    bad, cut = tmp_path / "a.tsv", tmp_path / "b.tsv.gz"
    bad.write_bytes(b"text\tlabel\n\xff\tx\n")
    cut.write_bytes(gzip.compress(TABLE.encode() * 99)[:-20])

    with pytest.raises(InputError, match=r"a.tsv:2: is not UTF-8: byte 0xff"):
        read_texts(bad, CLASSIFY)
    with pytest.raises(InputError, match=r"b.tsv.gz: cannot be unpacked"):
        read_texts(cut, CLASSIFY)


def test_a_missing_file_and_an_unknown_suffix_are_wrong_usage(tmp_path):
    (tmp_path / "a.doc").write_text(TABLE)

    with pytest.raises(UsageError, match=r"none.tsv: no such file"):
        read_texts(tmp_path / "none.tsv", CLASSIFY)
    with pytest.raises(UsageError, match=r"a.doc: its suffix says no format. .* or say --format"):
        read_texts(tmp_path / "a.doc", CLASSIFY)
    assert len(read_texts(tmp_path / "a.doc", FinetuneSettings(task="classify", format="tsv"))) == 2
    with pytest.raises(UsageError, match="a file in the format conll holds no examples of class"):
        read_texts(tmp_path / "a.doc", FinetuneSettings(task="classify", format="conll"))


def test_a_label_that_training_does_not_have_is_told(tmp_path):
    with pytest.raises(
        InputError, match=r"d.tsv:7: has the label 'z', which t.tsv does not have. A"
    ):
        check_labels([("a", 6), ("z", 7)], ["a"], "d.tsv", "t.tsv")


def test_labels_are_bio_when_all_of_them_are():
    assert is_bio(["O", "B-X", "I-X"])
    assert not is_bio(["O", "B-X"])
    assert not is_bio(["O", "B-X", "I-X", "E-X"])
    assert not is_bio(["NOUN", "VERB"])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"layers": "learned-mix"}, "layers learned-mix is for a frozen model"),
        ({"bilstm": True}, "bilstm True is for a frozen model"),
        ({"frozen": True, "unfreeze_last": 2}, "unfreeze_last 2 is not for a frozen model"),
        ({"frozen": True, "layer_decay": 0.8}, "layer_decay 0.8 is not for a frozen model"),
        ({"layer_decay": 1.1}, "layer_decay 1.1 must be above 0 and at most 1"),
        ({"unfreeze_last": 0}, "unfreeze_last 0 must be at least 1; frozen is for 0"),
        ({"epochs": 0}, "epochs 0 must be above 0"),
        ({"patience": 0}, "patience 0 must be above 0"),
        ({"length": 4}, "length 4 must be at least 8"),
        ({"dropout": 1.0}, "dropout 1.0 must be from 0 to below 1"),
        ({"decide": "last"}, "decide is 'last'; it must be one of first, mean, max"),
        ({"weight_decay": -1.0}, "weight_decay -1.0 must not be negative"),
        ({"seed": -1}, "seed -1 is negative"),
        ({"format": "doc"}, "format is 'doc'; it must be one of"),
    ],
)
def test_settings_check_themselves(settings, reason):
    with pytest.raises(ValueError, match=reason):
        FinetuneSettings(task="tag", **settings)
